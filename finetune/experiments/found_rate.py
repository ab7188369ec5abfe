"""What a learning rate range test found, and how it is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.evaluation.rate_curve import Reading, read_curve, smoothed
from finetune.files import replacing, write_text
from finetune.report.charts import Chart, Line
from finetune.report.display.charts import Charts
from finetune.report.display.fragment import fragment
from finetune.report.rendering import render
from finetune.report.text_chart import text_chart

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FoundRate:
    """Losses at rising rates, and the rate that they suggest.

    Attributes:
        phase: The phase whose rate it is.
        rates: The head's, rising, ``[N]``.
        losses: Mean training loss of the step at each of them, before it was taken, in nats; the
            last is infinite where training ran away to no number.
    """

    phase: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @cached_property
    def reading(self) -> Reading | None:
        """What the curve tells; None where it has too few numbers to tell anything."""
        return read_curve(self.rates, self.losses)

    @property
    def suggestion(self) -> float | None:
        """A peak rate for the phase: a tenth of that of the lowest loss."""
        return self.reading.suggestion if self.reading else None

    @property
    def option(self) -> str:
        """What to give to ``finetune train``; empty where no rate is suggested."""
        if self.suggestion is None:
            return ""
        return f"--set phases.{self.phase}.optimizer.lr={self.suggestion:g}"

    def sentences(self) -> list[str]:
        """What was found, in words."""
        if self.reading is None:
            return [f"{self.phase}: training ran away in its first steps; no rate is suggested."]
        steepest, lowest = self.reading.steepest, self.reading.lowest
        fall = (
            "The loss hardly falls: what trains has little left to learn in so few steps."
            if steepest is None
            else f"The loss falls fastest at {steepest:.2g}."
        )
        return [
            f"{fall} It is as low as it gets up to {lowest:.2g}.",
            f"Suggested for {self.phase}: {self.suggestion:g}, a tenth of that: a little above it "
            "training runs away, and a phase stays near its peak for many steps.",
        ]

    def chart(self) -> Chart:
        """The losses over the logarithm of the rate."""
        points = list(zip(self.rates, self._numbers, strict=False))
        curve = smoothed(self._numbers).tolist() if points else []
        lines = [
            Line("of a step", "chance", points),
            Line("smoothed", "first", list(zip(self.rates, curve, strict=False))),
        ]
        top = 1.5 * max(curve[: len(curve) // 2 + 1], default=1.0) or 1.0
        if self.suggestion is not None:
            lines.append(
                Line("suggested", "second", [(self.suggestion, 0), (self.suggestion, top)])
            )
        told = f"Training loss by learning rate. {' '.join(self.sentences())}"
        title, ends = f"Learning rate of {self.phase}", (self.rates[0], self.rates[-1])
        return Chart(
            title, "learning rate", "loss", lines, told, ends[1], top, left=ends[0], decades=True
        )

    @property
    def _numbers(self) -> list[float]:
        return [loss for loss in self.losses if math.isfinite(loss)]

    def text(self) -> list[str]:
        """The chart in plain characters, a line each."""
        return text_chart(self.chart(), 1)

    def frame(self) -> pd.DataFrame:
        """A row a step: ``rate``, ``loss``, ``smoothed``."""
        import pandas as pd

        columns = {"rate": self.rates, "loss": self.losses}
        frame = pd.DataFrame(columns)
        frame["smoothed"] = pd.Series(smoothed(self._numbers))
        return frame

    def figure(self) -> Figure:
        """The chart as a matplotlib figure.

        Raises:
            RunError: Matplotlib is not installed.
        """
        return Charts([self.chart()]).figure()

    def write(self, path: Path) -> None:
        """Write a page (``.html``) with the chart, or a table (``.csv``) with a row a step."""
        if path.suffix.lower() == ".csv":
            with replacing(path) as temporary:
                self.frame().to_csv(
                    temporary, index=False, float_format="%.6g", lineterminator="\n"
                )
            return
        write_text(path, render("rates.html", found=self, chart=self.chart()))

    def __repr__(self) -> str:
        return f"FoundRate({self.phase}: {self.suggestion})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the chart, and what it says."""
        return fragment("rates.html", found=self, chart=self.chart())
