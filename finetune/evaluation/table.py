"""Predictions as a table: what `predictions.csv` holds."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finetune.errors import RunError
from finetune.files import replacing
from finetune.text import from_cell, listed, to_cell

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Prediction:
    """What is said of one file.

    Attributes:
        path: Relative to DATA with ``/``, or as it was given.
        split: The part of DATA that a file belongs to, or ``out-of-fold``; else ``""``.
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
    path: Path,
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    more: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write ``path,split,label,predicted,confidence,error,reason,p:<class>...``, a row a file.

    Names are made safe as `finetune.text.to_cell` says; probabilities have six decimals. Columns
    of ``more``, with a plain cell for each prediction, come last.
    """
    more = more or {}
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, *(to_cell(f"p:{name}") for name in classes), *more])
        for number, prediction in enumerate(predictions):
            row = prediction.row(classes)
            for column in (_COLUMNS.index(name) for name in _NAMES):
                row[column] = to_cell(row[column])
            writer.writerow([*row, *(cells[number] for cells in more.values())])


@dataclass(frozen=True)
class PredictionTable:
    """What a file of predictions holds.

    Attributes:
        predictions: One a row.
        classes: The classes' names, in the order of the probabilities.
        more: Further columns, a cell a row.
    """

    predictions: tuple[Prediction, ...]
    classes: tuple[str, ...]
    more: dict[str, list[str]]


def read_predictions(path: Path) -> PredictionTable:
    """What `write_predictions` wrote to ``path``, with the names as they were.

    Raises:
        RunError: The file is missing or no table of predictions.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file, strict=True)
        classes = [cell for cell in header if from_cell(cell).startswith("p:")]
        first, last = len(_COLUMNS), len(_COLUMNS) + len(classes)
        if tuple(header[:first]) != _COLUMNS or classes != header[first:last]:
            raise ValueError(f"its columns are {listed(header)}")
        predictions = tuple(_prediction(row, first, last) for row in rows)
        more = {name: [row[i] for row in rows] for i, name in enumerate(header[last:], last)}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"no predictions can be read here: {told}", where=str(path)) from error
    names = (from_cell(cell).removeprefix("p:") for cell in classes)
    return PredictionTable(predictions, tuple(names), more)


def _prediction(row: Sequence[str], first: int, last: int) -> Prediction:
    if len(row) < last:
        raise ValueError(f"a row has {len(row)} cells")
    cells = dict(zip(_COLUMNS, row, strict=False))
    shares = () if cells["error"] else [float(share) for share in row[first:last]]
    if not all(0 <= share <= 1 for share in shares):  # neither is NaN
        raise ValueError(f"no probability is {max(shares, key=abs)}")
    return Prediction(
        path=from_cell(cells["path"]),
        split=cells["split"],
        label=from_cell(cells["label"]),
        probabilities=None if cells["error"] else np.array(shares),
        error=from_cell(cells["error"]),
        reason=from_cell(cells["reason"]),
    )


def to_frame(predictions: Sequence[Prediction], classes: Sequence[str]) -> pd.DataFrame:
    """The same as a DataFrame, with numbers as numbers and names as they are."""
    import pandas as pd

    # As Python objects: a name that is no UTF-8 is no string to Arrow, which pandas would ask.
    columns = pd.Index([*_COLUMNS, *(f"p:{name}" for name in classes)], dtype=object)
    rows = [prediction.row(classes) for prediction in predictions]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    for name in ("confidence", *columns[len(_COLUMNS) :]):
        frame[name] = pd.to_numeric(frame[name])
    return frame
