"""How strongly a head is regularised: a path of strengths, and the best point on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

GRID: tuple[float, ...] = tuple(float(10.0 ** (-i / 2)) for i in range(19))
"""Strengths that ``auto`` tries, strongest first: 1 to 1e-9 in half decades.

Kornblith et al. 2019 ("Do better ImageNet models transfer better?") try 45 strengths over 11
decades of a penalty in the features' own units. Here the features' mean squared length is 1,
whatever the network, so that 1 is a head that says hardly more than the classes' shares and 1e-9
one that fits whatever it can.
"""

SEARCH_TOLERANCE = 3e-3
FINAL_TOLERANCE = 1e-8
"""Share of the objective that a solution may lie above the best, searching and in the end."""

_PATIENCE = 3
"""Strengths in a row without a gain after which weaker ones are not tried."""

Coefficients = TypeVar("Coefficients")
Curve = tuple[tuple[float, float], ...]
"""Strengths that were tried, each with its cross-validated log loss."""


@dataclass(frozen=True)
class Point(Generic[Coefficients]):
    """What is found at a strength: the coefficients of all folds, and their log loss in nats."""

    l2: float
    log_loss: float
    coefficients: Coefficients


def follow_path(
    strengths: Sequence[float],
    start: Coefficients,
    solve: Callable[[Point[Coefficients], float], Point[Coefficients]],
) -> tuple[Point[Coefficients], Curve]:
    """The best point, and the whole curve, from the strongest strength to where gains end.

    Args:
        strengths: Strongest first; at least one.
        start: Coefficients to begin with.
        solve: Gives the point at a strength, beginning at another point.
    """
    best = here = Point(math.inf, math.inf, start)
    curve: list[tuple[float, float]] = []
    since = 0
    for l2 in strengths:
        here = solve(here, l2)
        curve.append((l2, here.log_loss))
        best, since = (here, 0) if here.log_loss < best.log_loss else (best, since + 1)
        if since == _PATIENCE:
            break
    return best, tuple(curve)
