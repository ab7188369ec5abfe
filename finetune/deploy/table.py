"""Predictions as a table: what `predictions.csv` holds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finetune.files import replacing
from finetune.text import to_cell

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Prediction:
    """What is said of one file.

    Attributes:
        path: Relative to DATA with ``/``, or as it was given.
        split: ``val`` or ``test`` for a file of DATA, else ``""``.
        label: Its true class where that is known, else ``""``.
        probabilities: A calibrated probability for each class, ``[C]``; None if it can't be read.
        error: Why it can't be read, or ``""``.
        reason: Why the classifier doesn't answer, or ``""``; then no class is predicted.
    """

    path: str
    split: str = ""
    label: str = ""
    probabilities: np.ndarray | None = None
    error: str = ""
    reason: str = ""

    def row(self, classes: Sequence[str]) -> list[str]:
        """Its cells, as they are: names are not made safe for a spreadsheet."""
        if self.probabilities is None:
            return [self.path, self.split, self.label, "", "", self.error, self.reason] + [
                ""
            ] * len(classes)
        best = int(self.probabilities.argmax())
        return [
            self.path,
            self.split,
            self.label,
            "" if self.reason else classes[best],
            f"{self.probabilities[best]:.6f}",
            self.error,
            self.reason,
            *(f"{value:.6f}" for value in self.probabilities),
        ]


_COLUMNS = ("path", "split", "label", "predicted", "confidence", "error", "reason")
_NAMES = ("path", "label", "predicted", "error", "reason")


def write_predictions(
    path: Path, predictions: Sequence[Prediction], classes: Sequence[str]
) -> None:
    """Write ``path,split,label,predicted,confidence,error,reason,p:<class>...``, a row a file.

    Names are made safe as `finetune.text.to_cell` says; probabilities have six decimals.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, *(to_cell(f"p:{name}") for name in classes)])
        for prediction in predictions:
            row = prediction.row(classes)
            for column in (_COLUMNS.index(name) for name in _NAMES):
                row[column] = to_cell(row[column])
            writer.writerow(row)


def to_frame(predictions: Sequence[Prediction], classes: Sequence[str]) -> pd.DataFrame:
    """The same as a DataFrame, with numbers as numbers and names as they are."""
    import pandas as pd

    columns = [*_COLUMNS, *(f"p:{name}" for name in classes)]
    frame = pd.DataFrame([prediction.row(classes) for prediction in predictions], columns=columns)
    numbers = ["confidence", *columns[len(_COLUMNS) :]]
    frame[numbers] = frame[numbers].apply(pd.to_numeric)
    return frame
