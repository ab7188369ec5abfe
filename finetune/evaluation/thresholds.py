"""The confidence from which on answers are as precise as is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from finetune.evaluation.clusters import Groups, effective_size

Array = npt.NDArray[np.float64]

_FARTHER = 4
"""By how many times more images each further walk begins with."""


def precision_thresholds(
    probabilities: Array,
    labels: npt.NDArray[np.integer],
    precision: float,
    confidence: float,
    groups: Groups | None = None,
) -> list[float | None]:
    """For each class the confidence from which on it is answered, ``[C]``; None: never.

    Args:
        probabilities: ``[N, C]``, of images that the weights were not fitted to.
        labels: Class indices ``[N]``.
        precision: The share of a class's answers that shall be right, below 1.
        confidence: How sure that is to be, for each class, in images drawn as these were.
        groups: The images' groups ``[N]``; None: each its own.
    """
    answers = probabilities.argmax(1)
    top = probabilities.max(1)
    found = []
    for c in range(probabilities.shape[1]):
        named = answers == c
        own = None if groups is None else groups[named]
        found.append(threshold(top[named], labels[named] == c, precision, 1 - confidence, own))
    return found


def threshold(
    confidences: Array,
    correct: npt.NDArray[np.bool_],
    precision: float,
    chance: float,
    groups: Groups | None = None,
) -> float | None:
    """The lowest confidence from which on answers are shown to be precise enough.

    A walk begins with the surest answers, as many as could show it if all were right, takes in one
    after another, and ends where the lower Clopper-Pearson bound falls below ``precision``. In
    such a fixed sequence of tests the first failure ends it, so that looking at many thresholds
    costs nothing (Bauer 1991; Angelopoulos et al. 2021, "Learn then test"). As one early error
    would end the walk, further ones begin with 4, 16, ... times the images, where there are so
    many; they share ``chance`` evenly.

    Answers to images in groups count for as many as they are worth (`effective_size`), as Korn
    and Graubard 1998 have it for the Clopper-Pearson bound.

    Args:
        confidences: Of the answers that name one class, ``[N]``.
        correct: Which of them are right, ``[N]``.
        precision: What is asked for, below 1.
        chance: Of a threshold that isn't as precise.
        groups: The images' groups ``[N]``; None: each its own.
    """
    order = np.argsort(-confidences, kind="stable")
    ordered = confidences[order]
    answers = _Answers(correct[order], None if groups is None else groups[order])
    walks = 1
    while answers.needed(fewest(precision, chance / (walks + 1)) * _FARTHER**walks, chance):
        walks += 1
    level = chance / walks
    # A threshold can't divide images of the same confidence.
    ends = np.append(ordered[:-1] > ordered[1:], [True] * min(len(order), 1))
    counts = np.flatnonzero(ends) + 1
    found = 0
    for walk in range(walks):
        first = answers.needed(fewest(precision, level) * _FARTHER**walk, level)
        for count in (int(each) for each in counts if first and each >= first):
            if answers.lower_bound(count, level) < precision:
                break
            found = max(found, count)
    return float(ordered[found - 1]) if found else None


def fewest(precision: float, chance: float) -> int:
    """How many answers, all right, show a precision: 59 for 0.95 at a chance of 0.05."""
    return math.ceil(round(math.log(chance) / math.log(precision), 9))


@dataclass(frozen=True)
class _Answers:
    """Answers that name one class, the surest first.

    Attributes:
        right: Which are right, ``[N]``.
        groups: Their images' groups; None: each its own.
    """

    right: npt.NDArray[np.bool_]
    groups: Groups | None

    def needed(self, worth: int, chance: float) -> int | None:
        """How many are worth as much as ``worth`` independent ones if all are right; None: not all.

        It hangs on the groups alone, so that where a walk begins tells nothing of its tests.
        """
        if self.groups is None:
            return worth if worth <= len(self.right) else None
        if len(np.unique(self.groups)) < worth:
            return None
        best = np.ones(len(self.right), dtype=bool)
        counts = range(worth, len(best) + 1)
        return next((n for n in counts if self._worth(best, n, chance) >= worth), None)

    def lower_bound(self, count: int, chance: float) -> float:
        """The one-sided Clopper-Pearson bound of the share of right ones among the surest."""
        hits = int(self.right[:count].sum())
        share = self._worth(self.right, count, chance) / count
        return float(betaincinv(hits * share, (count - hits) * share + 1, chance)) if hits else 0.0

    def _worth(self, right: npt.NDArray[np.bool_], count: int, chance: float) -> float:
        own = None if self.groups is None else self.groups[:count]
        return effective_size(right[:count], own, 1 - 2 * min(chance, 0.25))
