"""The confidence from which on answers are as precise as is asked."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

Array = npt.NDArray[np.float64]

_FARTHER = 4
"""By how many times more images each further walk begins with."""


def precision_thresholds(
    probabilities: Array,
    labels: npt.NDArray[np.integer],
    precision: float,
    confidence: float,
) -> list[float | None]:
    """For each class the confidence from which on it is answered, ``[C]``; None: never.

    Args:
        probabilities: ``[N, C]``, of images that the weights were not fitted to.
        labels: Class indices ``[N]``.
        precision: The share of a class's answers that shall be right, below 1.
        confidence: How sure that is to be, for each class, in images drawn as these were.
    """
    answers = probabilities.argmax(1)
    top = probabilities.max(1)
    return [
        threshold(top[answers == c], labels[answers == c] == c, precision, 1 - confidence)
        for c in range(probabilities.shape[1])
    ]


def threshold(
    confidences: Array, correct: npt.NDArray[np.bool_], precision: float, chance: float
) -> float | None:
    """The lowest confidence from which on answers are shown to be precise enough.

    A walk begins with the surest answers, as many as could show it if all were right, takes in one
    after another, and ends where the lower Clopper-Pearson bound falls below ``precision``. In
    such a fixed sequence of tests the first failure ends it, so that looking at many thresholds
    costs nothing (Bauer 1991; Angelopoulos et al. 2021, "Learn then test"). As one early error
    would end the walk, further ones begin with 4, 16, ... times the images, where there are so
    many; they share ``chance`` evenly.

    Args:
        confidences: Of the answers that name one class, ``[N]``.
        correct: Which of them are right, ``[N]``.
        precision: What is asked for, below 1.
        chance: Of a threshold that isn't as precise.
    """
    order = np.argsort(-confidences, kind="stable")
    ordered, hits = confidences[order], correct[order].cumsum()
    walks = 1
    while fewest(precision, chance / (walks + 1)) * _FARTHER**walks <= len(order):
        walks += 1
    level = chance / walks
    # A threshold can't divide images of the same confidence.
    ends = np.append(ordered[:-1] > ordered[1:], [True] * min(len(order), 1))
    counts = np.flatnonzero(ends) + 1
    found = 0
    for walk in range(walks):
        first = fewest(precision, level) * _FARTHER**walk
        for count in (int(each) for each in counts if each >= first):
            if _lower_bound(int(hits[count - 1]), count, level) < precision:
                break
            found = max(found, count)
    return float(ordered[found - 1]) if found else None


def fewest(precision: float, chance: float) -> int:
    """How many answers, all right, show a precision: 59 for 0.95 at a chance of 0.05."""
    return math.ceil(round(math.log(chance) / math.log(precision), 9))


def _lower_bound(hits: int, count: int, chance: float) -> float:
    """The one-sided Clopper-Pearson bound of a share."""
    return float(betaincinv(hits, count - hits + 1, chance)) if hits else 0.0
