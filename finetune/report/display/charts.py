"""Charts of lines, in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.report.charts import Chart
from finetune.report.curves import class_charts, confidence_charts, training_charts
from finetune.report.display.figures import draw_chart, grid_figure
from finetune.report.display.fragment import fragment
from finetune.report.evidence import Evidence
from finetune.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Charts:
    """Charts that show themselves.

    Attributes:
        charts: In their order.
        of_classes: Name, ROC and precision-recall curve of single classes; shown when unfolded.
    """

    charts: Sequence[Chart]
    of_classes: Sequence[tuple[str, Chart, Chart]] = ()

    def figure(self) -> Figure:
        """The charts, those of classes apart, as a matplotlib figure.

        Raises:
            RunError: Matplotlib is not installed.
        """
        return grid_figure(self.charts, draw_chart, width=4.0, height=3.2)

    def frame(self) -> pd.DataFrame:
        """A row a point: ``class`` (empty: of all), ``chart``, ``line``, ``x``, ``y``."""
        import pandas as pd

        named = [("", chart) for chart in self.charts]
        named += [(name, chart) for name, *pair in self.of_classes for chart in pair]
        rows = [
            (name, chart.title, line.name, x, y)
            for name, chart in named
            for line in chart.lines
            for x, y in line.points
        ]
        return pd.DataFrame(rows, columns=["class", "chart", "line", "x", "y"])

    def __repr__(self) -> str:
        told = [f"{printable(chart.title)}: {printable(chart.told)}" for chart in self.charts]
        return "\n".join(told) or "no charts: no image was scored"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return fragment("charts.html", charts=self.charts, of_classes=self.of_classes)


def run_charts(evidence: Evidence) -> Charts:
    """Those of a run's report: losses by epoch, confidence, and single classes."""
    charts = [*training_charts(evidence), *confidence_charts(evidence)]
    return Charts(charts, class_charts(evidence))
