"""Matplotlib figures: an optional extra, and never pyplot, whose state is the caller's.

Text is never read as mathematics: a class may be called ``$x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from finetune.errors import RunError
from finetune.report.charts import Chart
from finetune.report.rendering import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG, SOFT = "#1f5f99", "#d9730d", "#545d68"
"""Blue, orange and grey, as in the pages: told apart by the colour-blind, and in print."""

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""Of every text that may hold a name."""

_STYLES: dict[str, dict[str, Any]] = {
    "first": {"color": RIGHT, "linewidth": 2.0},
    "second": {"color": WRONG, "linewidth": 2.0, "linestyle": (0, (5, 2))},
    "chance": {"color": SOFT, "linewidth": 1.2, "linestyle": (0, (1, 2))},
}
_LONGEST = 32
_ACROSS = 3
_Item = TypeVar("_Item")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches.

    Raises:
        RunError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise RunError(
            "matplotlib, which draws figures to keep, is not installed",
            mend='Install it: pip install "finetune-vision[notebook]"',
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def grid_figure(
    items: Sequence[_Item],
    draw: Callable[[Axes, _Item], None],
    *,
    width: float,
    height: float,
    across: int = _ACROSS,
) -> Figure:
    """A figure of one drawing an item, so many to a row, each of so many inches."""
    columns = max(1, min(across, len(items)))
    rows = max(1, math.ceil(len(items) / columns))
    figure = new_figure(width * columns, height * rows)
    for place, item in enumerate(items, 1):
        draw(figure.add_subplot(rows, columns, place), item)
    return figure


def name(text: str) -> str:
    """A name as a label: safe to show, and short enough."""
    return shortened(text, _LONGEST)


def draw_chart(axes: Axes, chart: Chart) -> None:
    """``chart`` as the page draws it."""
    for at, low, high in chart.whiskers:
        axes.vlines(at, low, high, color=RIGHT, alpha=0.35, linewidth=4)
    for line in chart.lines:
        across, up = [x for x, _ in line.points], [y for _, y in line.points]
        marker = "o" if line.marked else ""
        axes.plot(across, up, label=line.name, marker=marker, markersize=4, **_STYLES[line.style])
    if chart.decades:
        axes.set_xscale("log")
        axes.set_xlim(chart.left, chart.right)
    else:
        axes.set_xlim(chart.left, chart.right * 1.02)
    axes.set_ylim(0, chart.top * 1.04)
    axes.set_title(name(chart.title), fontsize=11, **PLAIN)
    axes.set_xlabel(chart.across)
    axes.set_ylabel(chart.up)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if any(line.name for line in chart.lines):
        axes.legend(frameon=False, fontsize=9)
