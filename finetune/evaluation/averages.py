"""Intervals of scores from 0 to 1 that are means over classes.

Their plain bootstrap interval has no width where every image is right, and is too narrow where
nearly every one is. So the spread of the resamplings only says how many images the score is worth,
and Wilson's interval of so many takes it from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finetune.evaluation.intervals import UNDEFINED, Score, effective_wilson

Array = npt.NDArray[np.float64]


def from_spread(
    value: float, drawn: Array, most: float, confidence: float, short: float = 1.0
) -> Score:
    """Wilson's interval of a score whose resamplings spread as those of n images' share would.

    ``n = value * (1 - value) / variance`` (the effective number of Korn and Graubard 1998), and
    ``most`` where that is more, as when no resampling differs.

    Args:
        value: The score, 0 to 1; not a number where it is undefined.
        drawn: Its resamplings ``[B]``; those that are not numbers don't count.
        most: The number of images that the score may be worth; above 0.
        confidence: Coverage of the interval.
        short: By what the resamplings' variance is to be multiplied: it is ``(n - 1) / n`` of the
            true one where n images of a class are drawn from themselves.
    """
    if not math.isfinite(value):
        return UNDEFINED
    finite = drawn[np.isfinite(drawn)]
    variance = short * float(finite.var()) if len(finite) else 0.0
    worth = value * (1 - value) / variance if variance > 0 else most
    share = min(max(value, 0.0), 1.0)  # a mean of ones may round to more
    return effective_wilson(share, max(min(worth, most), 1.0), confidence)


def mean_of(parts: Sequence[Score], counted_twice: float = 1.0) -> Score:
    """The mean of independent scores, from their own intervals.

    Distances to the ends add up as squares (the method of variance estimates recovery; Zou and
    Donner 2008). So a rare class in which all images happened to be right still counts with what
    it may be.

    Args:
        parts: The scores; at least one, all defined.
        counted_twice: By what the variance of the mean exceeds that of independent parts at most.
            Of F1 over classes it is 2: an error lowers the F1 of two classes, and
            ``(a + b) ** 2 <= 2 * (a ** 2 + b ** 2)``.
    """
    value, low, high = (
        np.array([getattr(part, name) for part in parts], dtype=np.float64)
        for name in ("value", "low", "high")
    )
    mean, share = float(value.mean()), math.sqrt(counted_twice) / len(parts)
    below = share * float(np.linalg.norm(value - low))
    above = share * float(np.linalg.norm(high - value))
    return Score(mean, max(0.0, mean - below), min(1.0, mean + above))


def wider(one: Score, other: Score) -> Score:
    """The value of ``one`` with the farther of both ends on each side."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return one
    return Score(one.value, min(one.low, other.low), max(one.high, other.high))


def worth_of_means(sizes: Array) -> float:
    """How many images a mean over classes of shares is worth, of ``sizes`` ``[C]`` images each.

    ``C ** 2 / sum(1 / size)``: what a mean of shares is worth whose variances per image are
    alike. The smallest class decides.
    """
    return float(len(sizes) ** 2 / (1 / sizes).sum())


def worth_of_areas(own: Array, others: Array) -> float:
    """How many images a mean of K areas under ROC curves near 1 is worth.

    ``4 / (1 / own + 1 / others)`` for one area, which is what the variance of Hanley and McNeil
    1982 comes to near 1; areas are taken for independent.

    Args:
        own: How many images are of each class, ``[K]``.
        others: How many are not, ``[K]``.
    """
    return float(4 * len(own) ** 2 / (1 / own + 1 / others).sum())
