"""The directory of a cross-validation: the one place that knows its file names.

It is no run directory: it holds many trainings and no classifier, unless one was asked for, which
is a run of its own in ``final``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from finetune.errors import RunError
from finetune.files import replacing, sweep, write_json
from finetune.locking import locked
from finetune.run import check_run_place, new_run


@dataclass(frozen=True)
class ExperimentDirectory:
    """A folder that holds a cross-validation and its evidence."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The recipe of all its trainings, resolved and complete."""
        return self.path / "recipe.yaml"

    @property
    def data(self) -> Path:
        """The data manifest: a row per file, with its digest."""
        return self.path / "data.csv"

    @property
    def experiment(self) -> Path:
        """What is done, with which versions, weights and data; the sign that it has begun."""
        return self.path / "experiment.json"

    @property
    def folds(self) -> Path:
        """A folder for each training."""
        return self.path / "folds"

    @property
    def out_of_fold(self) -> Path:
        """What is said of each image by trainings that had not seen it."""
        return self.path / "out_of_fold.csv"

    @property
    def fixes(self) -> Path:
        """Images whose label is doubtful, as `data.fixes` takes them."""
        return self.path / "fixes.csv"

    @property
    def scores(self) -> Path:
        """The scores; written last."""
        return self.path / "cv.json"

    @property
    def final(self) -> Path:
        """The run directory of the classifier, where one was asked for."""
        return self.path / "final"

    @property
    def lock(self) -> Path:
        """Who is at work in it; there only as long as somebody is, or was killed."""
        return self.path / ".lock"

    @property
    def begun(self) -> bool:
        """Whether there is something in it to go on with, or complete."""
        return self.experiment.is_file()

    @property
    def complete(self) -> bool:
        """Whether all folds are scored."""
        return self.scores.is_file()

    def fold(self, repeat: int, fold: int) -> FoldDirectory:
        """Where one training keeps its files."""
        return FoldDirectory(self.folds / f"{repeat}-{fold}")

    def begin(self, purpose: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Write down what is done, or see to it that what was begun here is the same.

        Args:
            purpose: What all results are a function of, as JSON types.
            about: What else to write down.

        Raises:
            RunError: Something else was begun here.
        """
        if not self.begun:
            write_json(self.experiment, {**about, "purpose": dict(purpose)})
            return
        was = read_json(self.experiment)["purpose"]
        others = [name for name in purpose if was.get(name) != purpose[name]]
        if others:
            raise RunError(
                f"another cross-validation was begun in it, with other {' and '.join(others)}",
                where=str(self.path),
                mend="Give the command that began it, or name another place with --out.",
            )


@dataclass(frozen=True)
class FoldDirectory:
    """A folder that holds one training of a cross-validation."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """What resuming needs; removed once the training has ended."""
        return self.path / "checkpoints"

    @property
    def log(self) -> Path:
        """A row per epoch."""
        return self.path / "log.csv"

    @property
    def answers(self) -> Path:
        """Logits of the images that it has not seen."""
        return self.path / "answers.safetensors"

    @property
    def record(self) -> Path:
        """The freeze audit, the choice between phases, the temperature; written last."""
        return self.path / "phases.json"

    @property
    def finished(self) -> bool:
        """Whether the training has ended."""
        return self.record.is_file()

    def finish(self, record: Mapping[str, Any], logits: np.ndarray) -> None:
        """Keep what a training came to; its checkpoints go."""
        with replacing(self.answers) as path:
            save_file({"logits": np.ascontiguousarray(logits)}, path)
        write_json(self.record, dict(record))
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def result(self) -> tuple[dict[str, Any], np.ndarray]:
        """What `finish` was given."""
        return read_json(self.record), load_file(self.answers)["logits"]


@contextmanager
def held(path: Path, data: Path) -> Iterator[ExperimentDirectory]:
    """Make a directory at ``path``, or take up what was begun there, and hold it, alone.

    Raises:
        RunError: It holds something else, lies in ``data``, another process holds it, or it can't
            be made.
    """
    directory = ExperimentDirectory(path)
    if not directory.begun:
        with new_run(path, data):
            yield directory
        return
    with locked(directory.lock):
        sweep(path)
        yield directory


def check_place(path: Path, data: Path) -> None:
    """See to it that a cross-validation may be written to ``path``, or gone on with there.

    Raises:
        RunError: It may not.
    """
    if not ExperimentDirectory(path).begun:
        check_run_place(path, data)


def read_json(path: Path) -> dict[str, Any]:
    """One of its JSON files.

    Raises:
        RunError: It is missing or no JSON.
    """
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"there is no {path.name} in it", where=str(path.parent)) from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path.name} can't be read: {error}", where=str(path.parent)) from error
    return value
