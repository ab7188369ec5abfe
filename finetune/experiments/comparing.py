"""Runs compared on the images that all of them were judged on."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from finetune.evaluation.comparison import LEAST, PairedComparison, compare_pair, holm
from finetune.evaluation.intervals import Score
from finetune.experiments.judged_images import Side, check_same, read_side
from finetune.experiments.result import figure, html_table
from finetune.files import replacing, write_json
from finetune.text import plural, to_cell

COMPARISON, DIFFERENCES = "comparison.json", "differences.csv"
"""The files that `ComparedRuns.write` makes."""


@dataclass(frozen=True)
class Pair:
    """Two of the runs: the first one's scores less the second's.

    Attributes:
        first: Place of the one among the runs.
        second: Place of the other.
        difference: How they differ.
        corrected: The p value of McNemar's test, corrected for the number of pairs (Holm).
    """

    first: int
    second: int
    difference: PairedComparison
    corrected: float


@dataclass(frozen=True)
class ComparedRuns:
    """Runs on the same images.

    Attributes:
        names: Of the runs, as they were given.
        scores: Each run's ``accuracy``, ``log_loss``, and what it costs.
        pairs: Each run against each after it.
        paths: The images, sorted.
        labels: Their classes.
        predicted: What each run said, a list a run.
        classes: All classes, sorted.
        confidence: Coverage of the intervals.
        grouped: Whether whole groups of images were drawn.
        split: The part of the data that was judged.
    """

    names: tuple[str, ...]
    scores: tuple[dict[str, float | None], ...]
    pairs: tuple[Pair, ...]
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    predicted: tuple[tuple[str, ...], ...]
    classes: tuple[str, ...]
    confidence: float
    grouped: bool
    split: str

    def differing(self) -> Iterator[tuple[str, ...]]:
        """The images on which not all say the same: path, label, and what each run said."""
        for path, label, *said in zip(self.paths, self.labels, *self.predicted, strict=True):
            if len(set(said)) > 1:
                yield (path, label, *said)

    def notes(self) -> list[str]:
        """What to keep in mind when reading the figures."""
        notes = []
        if self.grouped:
            notes.append(
                "The images come in groups: the intervals draw whole groups; McNemar's test takes "
                "each image for itself, so its p values are too small where those of a group are "
                "alike."
            )
        if self.split == "val":
            notes.append("These are validation images, on which choices were made.")
        if len(self.pairs) > 1:
            notes.append(f"p values are corrected for {len(self.pairs)} pairs (Holm).")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """The contents of ``comparison.json``."""
        return {
            "runs": list(self.names),
            "split": self.split,
            "n": len(self.paths),
            "confidence": self.confidence,
            "grouped": self.grouped,
            "scores": list(self.scores),
            "pairs": [self._pair(pair) for pair in self.pairs],
            "differing": sum(1 for _ in self.differing()),
            "notes": self.notes(),
        }

    def write(self, folder: Path) -> None:
        """Write ``comparison.json`` and ``differences.csv``, a row an image that runs differ on."""
        path = folder / DIFFERENCES
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as to:
            writer = csv.writer(to, lineterminator="\n")
            writer.writerow(["path", "label", *(to_cell(f"predicted:{n}") for n in self.names)])
            writer.writerows([to_cell(cell) for cell in row] for row in self.differing())
        write_json(folder / COMPARISON, self.to_dict())

    def rows(self) -> list[list[str]]:
        """A row a pair, for tables."""
        return [
            [
                f"{self.names[pair.first]} − {self.names[pair.second]}",
                *(_told(score) for score in _scores(pair.difference)),
                f"{pair.difference.only_first} : {pair.difference.only_second}",
                f"{pair.corrected:.3g}",
            ]
            for pair in self.pairs
        ]

    def __repr__(self) -> str:
        told = (f"{row[0]}: accuracy {row[1]}, p {row[-1]}" for row in self.rows())
        return f"ComparedRuns({len(self.paths)} images; {'; '.join(told)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: a row a pair."""
        header = ["first − second", *SCORES, "right alone", "p (McNemar)"]
        caption = f"{plural(len(self.paths), 'image')}, {self.confidence:.0%} intervals"
        return html_table(caption, header, self.rows())

    def _pair(self, pair: Pair) -> dict[str, Any]:
        told = asdict(pair.difference) | {"p_corrected": pair.corrected}
        per_class = dict(zip(self.classes, told.pop("per_class"), strict=True))
        names = {"first": self.names[pair.first], "second": self.names[pair.second]}
        return names | told | {"per_class": per_class}


SCORES = ("accuracy", "log loss", "macro F1")
"""The differences that are shown, in the order of `ComparedRuns.rows`."""


def compare_folders(
    folders: Sequence[Path], *, confidence: float, resamples: int, seed: int
) -> ComparedRuns:
    """Compare what runs, or folders of `finetune evaluate`, say of the same images.

    Raises:
        RunError: There are no predictions in one, or they were judged on other images.
    """
    sides = [read_side(folder) for folder in folders]
    for other in sides[1:]:
        check_same(sides[0], other)
    paths = tuple(sorted(sides[0].said))
    labels = tuple(sides[0].said[path].label for path in paths)
    classes = tuple(sorted({*labels, *(name for side in sides for name in side.classes)}))
    shares = [side.probabilities(paths, classes) for side in sides]
    indices = np.array([classes.index(label) for label in labels])
    units = _units(paths, sides)
    found = [
        (i, j, compare_pair(shares[i], shares[j], indices, units, confidence=confidence,
                            resamples=resamples, seed=seed))
        for i, j in combinations(range(len(sides)), 2)
    ]  # fmt: skip
    corrected = holm([difference.p_value for _, _, difference in found])
    return ComparedRuns(
        names=tuple(side.name for side in sides),
        scores=tuple(_own(s, p, indices) for s, p in zip(sides, shares, strict=True)),
        pairs=tuple(Pair(*each, p) for each, p in zip(found, corrected, strict=True)),
        paths=paths,
        labels=labels,
        predicted=tuple(tuple(classes[i] for i in each.argmax(1)) for each in shares),
        classes=classes,
        confidence=confidence,
        grouped=units is not None,
        split=sides[0].split,
    )


def _units(paths: Sequence[str], sides: Sequence[Side]) -> np.ndarray | None:
    """The group of each image as an index; an image without one is a group of its own."""
    groups: dict[str, str] = {}
    for side in sides:
        groups |= side.groups
    if not any(path in groups for path in paths):
        return None
    names = [f"group/{groups[path]}" if path in groups else f"path/{path}" for path in paths]
    return np.asarray(np.unique(names, return_inverse=True)[1])


def _own(side: Side, shares: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    own = np.clip(shares[np.arange(len(labels)), labels], LEAST, 1.0)
    return {
        "accuracy": float((shares.argmax(1) == labels).mean()),
        "log_loss": float(-np.log(own).mean()),
        "parameters": side.cost.parameters,
        "seconds": side.cost.seconds,
    }


def _scores(difference: PairedComparison) -> tuple[Score, Score, Score]:
    return difference.accuracy, difference.log_loss, difference.macro_f1


def _told(score: Score) -> str:
    assert score.value is not None
    return f"{score.value:+.3f} ({figure(score.low)} to {figure(score.high)})"
