"""Line charts, as coordinates that a template draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEFT, TOP, RIGHT, BOTTOM = 54, 10, 308, 190
"""Of the area that is drawn to, in a picture of 320 by 230."""

_MOST_POINTS = 200

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart.

    Attributes:
        name: In the legend; empty: none.
        style: Names its class in the style sheet; lines differ in dashes, not in colour alone.
        points: In the units of the axes.
        marked: Whether each point has a dot.
    """

    name: str
    style: str
    points: Sequence[Point]
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of lines, with what it shows in words.

    Attributes:
        title: May hold a name from the data.
        across: What the axis to the right is.
        up: What the axis upwards is.
        lines: In the order in which they are drawn.
        told: The text alternative.
        right: Where the axis to the right ends.
        top: Where the axis upwards ends; it begins at 0.
        whiskers: Place, low and high of each interval, drawn upright.
        left: Where the axis to the right begins.
        decades: Whether powers of ten are equally far apart on it; ``left`` is above 0 then.
    """

    title: str
    across: str
    up: str
    lines: Sequence[Line]
    told: str
    right: float = 1.0
    top: float = 1.0
    whiskers: Sequence[tuple[float, float, float]] = ()
    left: float = 0.0
    decades: bool = False

    def x(self, value: float) -> float:
        """Where ``value`` stands on the axis to the right."""
        share = (value - self.left) / (self.right - self.left)
        if self.decades:
            share = math.log(value / self.left) / math.log(self.right / self.left)
        return round(LEFT + (RIGHT - LEFT) * share, 1)

    def y(self, value: float) -> float:
        """Where ``value`` stands on the axis upwards; what is above its end, at the end."""
        return round(BOTTOM - (BOTTOM - TOP) * min(value / self.top, 1.0), 1)

    def path(self, line: Line) -> str:
        """``line`` as the ``d`` of a path."""
        points = thinned(line.points)
        return "M" + "L".join(f"{self.x(x):g} {self.y(y):g}" for x, y in points) if points else ""

    @property
    def across_ticks(self) -> list[tuple[float, str]]:
        """Where marks of the axis to the right stand, and what they say."""
        marks = powers(self.left, self.right) if self.decades else ticks(self.right)
        return [(self.x(value), f"{value:g}") for value in marks]

    @property
    def up_ticks(self) -> list[tuple[float, str]]:
        """Likewise upwards."""
        return [(self.y(value), f"{value:g}") for value in ticks(self.top)]


def ticks(end: float) -> list[float]:
    """Round numbers from 0 to ``end``, three to six of them."""
    rough = end / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    return [round(step * number, 10) for number in range(int(end / step + 1e-9) + 1)]


def powers(start: float, end: float) -> list[float]:
    """The powers of ten from ``start`` to ``end``, those of two or more apart where many are."""
    first, last = math.ceil(math.log10(start) - 1e-9), math.floor(math.log10(end) + 1e-9)
    step = 1 + max(0, last - first) // 6
    return [10.0**power for power in range(first, last + 1, step)]


def thinned(points: Sequence[Point]) -> list[Point]:
    """``points``, or so many of them from all over, the first and the last among them."""
    last = len(points) - 1
    if last < _MOST_POINTS:
        return list(points)
    return [points[round(place * last / (_MOST_POINTS - 1))] for place in range(_MOST_POINTS)]
