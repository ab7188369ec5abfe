"""What a comparison came to, as notebooks and programs hold it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.evaluation.comparison import PairedComparison
from finetune.evaluation.intervals import Score
from finetune.experiments.result import figure
from finetune.files import replacing, write_json
from finetune.report.display.fragment import table
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
        folds: Of the cross-validations that were compared; 0: they are none.
        repeats: Of these.
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
    folds: int = 0
    repeats: int = 1

    @property
    def test(self) -> str:
        """Of which test the p values are."""
        return "p (corrected t, McNemar)" if self.folds else "p (McNemar)"

    def differing(self) -> Iterator[tuple[str, ...]]:
        """The images on which not all say the same: path, label, and what each run said.

        Of several repeats of a cross-validation, by their mean probabilities.
        """
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
        if self.folds:
            notes.append(
                f"Means over {plural(self.folds * self.repeats, 'training')} on the same folds, "
                "with intervals that know that these share images. The p value is the larger of "
                "the corrected t test's and McNemar's."
            )
        if self.repeats > 1:
            notes.append(
                f"Single images go by all {self.repeats} repeats: who is right more often, and by "
                "mean probability what was said."
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
            "folds": self.folds,
            "repeats": self.repeats,
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
        header = ["first − second", *SCORES, "right alone", self.test]
        caption = f"{plural(len(self.paths), 'image')}, {self.confidence:.0%} intervals"
        return table(caption, header, self.rows())

    def _pair(self, pair: Pair) -> dict[str, Any]:
        told = asdict(pair.difference) | {"p_corrected": pair.corrected}
        per_class = dict(zip(self.classes, told.pop("per_class"), strict=True))
        names = {"first": self.names[pair.first], "second": self.names[pair.second]}
        return names | told | {"per_class": per_class}


SCORES = ("accuracy", "log loss", "macro F1")
"""The differences that are shown, in the order of `ComparedRuns.rows`."""


def _scores(difference: PairedComparison) -> tuple[Score, Score, Score]:
    return difference.accuracy, difference.log_loss, difference.macro_f1


def _told(score: Score) -> str:
    assert score.value is not None
    return f"{score.value:+.3f} ({figure(score.low)} to {figure(score.high)})"
