"""What a tracker is, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Beginning:
    """What is known of a training when it begins.

    Attributes:
        name: What the run is called: the name of its directory.
        data: The name of DATA's folder or file, without what lies above it.
        parameters: The recipe's values by dotted keys as after ``--set``, and versions.
    """

    name: str
    data: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Epoch:
    """One row of ``log.csv``.

    Attributes:
        step: Which row, from 1: it rises by one through all phases, and is the same for a row
            that an interrupted run writes again.
        fit: ``main``, or ``fold-1``, ... for the fits that judge phases out-of-fold.
        phase: The phase's name.
        place: The phase's place in the recipe, from 1.
        numbers: The other columns that are known, by their names.
    """

    step: int
    fit: str
    phase: str
    place: int
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Ending:
    """What is known of a training when it has ended.

    Attributes:
        kept: The phase whose weights were kept.
        scores: The scores by names such as ``test_accuracy``, with ``..._low`` and ``..._high``.
        root: The run directory.
        files: Those of its files that make up the artefact.
    """

    kept: str
    scores: Mapping[str, float]
    root: Path
    files: Sequence[Path]


class Tracker(Protocol):
    """Somebody who follows a training; whatever it raises ends its following, not the training.

    Attributes:
        place: Where a person finds what was tracked, once it is started; empty: nothing to tell.
    """

    place: str

    def start(self, beginning: Beginning, known: str) -> str:
        """Begin, or go on with the run that it called ``known``; the name it has for the run.

        Empty: it has none and starts afresh each time, from the first epoch.
        """

    def log(self, epoch: Epoch) -> None:
        """Take an epoch in; each comes once."""

    def finish(self, ending: Ending) -> None:
        """Take in what the training came to, and end."""

    def close(self) -> None:
        """End before the training has: it was interrupted, and may be gone on with."""
