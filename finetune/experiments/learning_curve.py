"""The learning curve: the score against the number of images, and what more would buy."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.evaluation.intervals import Score
from finetune.evaluation.power_law import Forecast
from finetune.experiments.result import figure
from finetune.files import replacing, write_json
from finetune.report.charts import Chart, Line
from finetune.report.display.charts import Charts
from finetune.report.display.fragment import fragment
from finetune.text import plural

CURVE_TABLE, CURVE = "learning_curve.csv", "learning_curve.json"
"""The files that `LearningCurve.write` makes."""

MORE = 100
"""Images a class whose worth is told."""


@dataclass(frozen=True)
class Point:
    """What a number of images came to.

    Attributes:
        size: Images of each class, at most.
        images: All of them together.
        per_class: Their mean over the classes.
        accuracy: Mean over the repeats, with its interval.
        log_loss: The same, in nats.
    """

    size: int
    images: int
    per_class: float
    accuracy: Score
    log_loss: Score


@dataclass(frozen=True)
class LearningCurve:
    """Scores against numbers of training images, all judged on the same held-out images.

    Attributes:
        points: One a size, rising.
        accuracy: What `MORE` images a class would change in the accuracy.
        log_loss: What they would change in the log loss.
        repeats: How many draws of each size.
        judged: Held-out images.
        confidence: Coverage of the intervals.
    """

    points: tuple[Point, ...]
    accuracy: Forecast
    log_loss: Forecast
    repeats: int
    judged: int
    confidence: float

    def sentence(self) -> str:
        """What more images would buy, in words."""
        start = f"{MORE} more images per class"
        if self.accuracy.doubt:
            return f"What {start} would buy can't be told: {self.accuracy.doubt}."
        low, value, high = (100 * v for v in (self.accuracy.low, self.accuracy.change,
                                              self.accuracy.high))  # fmt: skip
        return (
            f"{start} would buy about {value:.1f} points of accuracy "
            f"({self.confidence:.0%} interval {low:.1f} to {high:.1f}), if the curve goes on as it "
            "has begun."
        )

    def rows(self) -> list[list[str]]:
        """A row a size, for tables."""
        return [
            [str(p.size), f"{p.images:,}", *_cells(p.accuracy), *_cells(p.log_loss)]
            for p in self.points
        ]

    def to_dict(self) -> dict[str, Any]:
        """The contents of ``learning_curve.json``."""
        told = asdict(self)
        for name in ("accuracy", "log_loss"):
            told[name] |= {"more_per_class": MORE}
        return told | {"sentence": self.sentence()}

    def write(self, folder: Path) -> None:
        """Write ``learning_curve.csv``, a row a size, and ``learning_curve.json``."""
        path = folder / CURVE_TABLE
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as to:
            writer = csv.writer(to, lineterminator="\n")
            names = ("accuracy", "log_loss")
            ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
            writer.writerow(["size", "images", "per_class", *ends])
            for p in self.points:
                scores = (p.accuracy, p.log_loss)
                cells = [value for s in scores for value in (s.value, s.low, s.high)]
                writer.writerow([p.size, p.images, f"{p.per_class:.6g}", *map(_number, cells)])
        write_json(folder / CURVE, self.to_dict())

    def curves(self) -> Charts:
        """Accuracy and log loss against images of each class, with their intervals."""
        accuracies = [(p.per_class, p.accuracy) for p in self.points]
        losses = [(p.per_class, p.log_loss) for p in self.points]
        top = max(score.high or 0.0 for _, score in losses) or 1.0
        return Charts(
            [
                _chart("accuracy", accuracies, self.accuracy, 1.0),
                _chart("log loss", losses, self.log_loss, top),
            ]
        )

    def __repr__(self) -> str:
        return f"LearningCurve({plural(len(self.points), 'size')}: {self.sentence()})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the curves, a row a size, and the sentence."""
        caption = f"{self.judged:,} held-out images. {self.sentence()}"
        charts = self.curves().charts
        return fragment(
            "curve.html", caption=caption, charts=charts, header=HEADER, rows=self.rows()
        )


HEADER = ("images a class", "images", "accuracy", "(interval)", "log loss", "(interval)")
"""What stands above `LearningCurve.rows`."""


def _chart(
    name: str, points: Sequence[tuple[float, Score]], forecast: Forecast, top: float
) -> Chart:
    measured = [(x, score.value) for x, score in points if score.value is not None]
    whiskers = [(x, s.low, s.high) for x, s in points if s.low is not None and s.high is not None]
    lines = [Line("measured", "first", measured, marked=True)]
    first, last = measured[0][0], measured[-1][0]
    if not forecast.doubt:
        steps = [first + (last - first) * step / 50 for step in range(51)]
        fitted = [(x, max(0.0, forecast.law.at(x))) for x in steps]
        lines.append(Line("the law that fits best", "second", fitted))
    told = (
        f"{name} from {measured[0][1]:.3f} at {first:g} images a class to {measured[-1][1]:.3f} "
        f"at {last:g}."
    )
    title = name.capitalize()
    return Chart(title, "images a class", name, lines, told, last, top, whiskers)


def _cells(score: Score) -> tuple[str, str]:
    return figure(score.value), f"{figure(score.low)} – {figure(score.high)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
