"""The log: a row per epoch in ``log.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from finetune.files import write_text

Follow = Callable[[Sequence[Mapping[str, str]]], None]
"""Somebody who is told all rows so far, each time that one is added."""


@dataclass(frozen=True)
class LogRow:
    """One epoch.

    Attributes:
        fit: ``main``; ``fold-1``, ... for the fits that judge phases out-of-fold;
            ``race-<rung>-<rate>`` for those that race for a rate.
        phase: The phase's name.
        epoch: Counted from 1 within the phase.
        step: Optimiser steps done in the phase.
        lr: The head's learning rate in the epoch's last step.
        train_loss: Mean loss over the epoch's images, augmented, as it was minimised.
        val_log_loss: Log loss on the validation part, before calibration.
        val_accuracy: Accuracy on the validation part.
        val_balanced_accuracy: Mean recall over the classes of the validation part.
        val_macro_f1: Mean F1 over the same classes.
        seconds: Wall time of the epoch with its validation; of a phase's first one, with what had
            to be stored before it.
    """

    fit: str
    phase: str
    epoch: int
    step: int
    lr: float
    train_loss: float
    val_log_loss: float | None
    val_accuracy: float | None
    val_balanced_accuracy: float | None
    val_macro_f1: float | None
    seconds: float


_COLUMNS = [field.name for field in fields(LogRow)]


class Log:
    """``log.csv`` of a run; going on drops rows that are redone.

    Args:
        path: The file.
        follow: Who else is told; nobody by default.
    """

    def __init__(self, path: Path, follow: Follow | None = None) -> None:
        self.path = path
        self._follow = follow
        self._rows: list[dict[str, str]] | None = None

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows so far; those of an interrupted run are read when they are first wanted."""
        if self._rows is None:
            self._rows = _read(self.path) if self.path.is_file() else []
        return self._rows

    def seconds(self, fit: str, phase: str) -> float:
        """Wall time of a phase's epochs, over all sessions of the run."""
        own = [row for row in self.rows if (row["fit"], row["phase"]) == (fit, phase)]
        return sum(float(row["seconds"]) for row in own)

    def rewind(self, fit: str, phase: str, epoch: int) -> None:
        """Forget the rows of a phase after ``epoch``: they are going to be written again."""
        self._rows = [
            row
            for row in self.rows
            if (row["fit"], row["phase"]) != (fit, phase) or int(row["epoch"]) <= epoch
        ]

    def append(self, row: LogRow) -> None:
        """Add a row."""
        self.rows.append({name: _cell(getattr(row, name)) for name in _COLUMNS})
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
        if self._follow is not None:
            self._follow(self.rows)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
