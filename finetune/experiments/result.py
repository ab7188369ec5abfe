"""A cross-validation that has been done, as notebooks and programs hold it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.evaluation.table import read_predictions, to_frame
from finetune.experiments.directory import ExperimentDirectory, read_json
from finetune.report.display.scores import scores

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CrossValidation:
    """A cross-validation that has been done.

    Attributes:
        directory: Where its files are.
    """

    directory: ExperimentDirectory

    @property
    def path(self) -> Path:
        """Its directory."""
        return self.directory.path

    @cached_property
    def scores(self) -> dict[str, Any]:
        """The scores: ``scores["accuracy"]`` has ``value``, ``low`` and ``high``."""
        return read_json(self.directory.scores)

    @cached_property
    def out_of_fold(self) -> pd.DataFrame:
        """What was said of each image by trainings that had not seen it; a row a repeat."""
        table = read_predictions(self.directory.out_of_fold)
        more = {name: [int(cell) for cell in cells] for name, cells in table.more.items()}
        return to_frame(table.predictions, table.classes).assign(**more)

    @property
    def final(self) -> Path | None:
        """The run directory of the classifier that all images teach, if one was asked for."""
        return self.directory.final if self.directory.final.is_dir() else None

    def __repr__(self) -> str:
        score, scores = self.scores["accuracy"], self.scores
        return (
            f"CrossValidation({str(self.path)!r}: accuracy {figure(score['value'])} "
            f"[{figure(score['low'])}, {figure(score['high'])}] on {scores['n']} images, "
            f"{scores['folds']} folds, repeats: {scores['repeats']})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores with their intervals, and what a guess would score."""
        caption = (
            f"{self.path}: {self.scores['n']} images out-of-fold, "
            f"{self.scores['folds']} folds, repeats: {self.scores['repeats']}"
        )
        return scores(caption, self.scores, "mean")


def figure(value: float | None) -> str:
    """Three decimals; a dash for what is undefined."""
    return "–" if value is None else f"{value:.3f}"
