"""Two recipes on the same folds: paired differences of two cross-validations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune.evaluation.comparison import (
    Array,
    CountedScores,
    Indices,
    PairedComparison,
    compare_pair,
    count_by_class,
    mcnemar,
)
from finetune.evaluation.intervals import (
    Score,
    at_least_as_wide,
    corrected_resampled_p,
    corrected_resampled_t,
)


@dataclass(frozen=True)
class Folds:
    """How a cross-validation cuts N images, R times over.

    Attributes:
        numbers: The fold of each image in each repeat, ``[R, N]``.
        judged_per_learnt: Images that judge a training for each that it learns from.
    """

    numbers: Indices
    judged_per_learnt: float

    def scores(self, answers: Array, labels: Indices) -> Array:
        """Accuracy, log loss and macro F1 of each training, ``[3, J]``.

        Args:
            answers: Probabilities that each repeat gives all images, ``[R, N, C]``.
            labels: Class indices ``[N]``.
        """
        parts = zip(answers, self.numbers, strict=True)
        return np.hstack([CountedScores(each, labels)(_members(row)) for each, row in parts])


def compare_folds(
    first: Array,
    second: Array,
    labels: Indices,
    folds: Folds,
    units: Indices | None,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> PairedComparison:
    """Differences of two recipes, over trainings on the same images judged by the same.

    The value is the mean over the trainings of their differences, the interval the corrected
    resampled t interval of those (`corrected_resampled_t`). As that knows only the spread between
    trainings, it is on neither side narrower than that of the answers image by image: the mean
    over the repeats of the ends that `compare_pair` gives.

    Repeats make no new images: an image counts for the recipe that has it right in more of them.
    The p value is the larger of the corrected resampled t test's of the accuracies and of
    McNemar's on the images so counted.

    Args:
        first: Probabilities that each repeat gives all images, ``[R, N, C]``.
        second: The other recipe's, of the same images, in the same order.
        labels: Class indices ``[N]``.
        folds: The same for both.
        units: The group of each image as an index, ``[N]``; None: each image for itself.
        confidence: Coverage of the intervals.
        resamples: Bootstrap resamplings, in each repeat.
        seed: Of the resamplings.
    """
    ratio = folds.judged_per_learnt
    spread = (folds.scores(first, labels) - folds.scores(second, labels)).tolist()
    floors = [
        compare_pair(*pair, labels, units, confidence=confidence, resamples=resamples, seed=seed)
        for pair in zip(first, second, strict=True)
    ]
    accuracy, log_loss, macro_f1 = (
        at_least_as_wide(corrected_resampled_t(each, ratio, confidence), floor, lowest=-math.inf)
        for each, floor in zip(spread, _by_image(floors), strict=True)
    )
    gains = ((first.argmax(2) == labels) * 1 - (second.argmax(2) == labels)).sum(0)
    only_first, only_second = int((gains > 0).sum()), int((gains < 0).sum())
    return PairedComparison(
        accuracy=accuracy,
        log_loss=log_loss,
        macro_f1=macro_f1,
        only_first=only_first,
        only_second=only_second,
        p_value=max(corrected_resampled_p(spread[0], ratio), mcnemar(only_first, only_second)),
        per_class=count_by_class(gains > 0, gains < 0, labels, first.shape[2]),
    )


def _members(numbers: Indices) -> Array:
    """Which images are in each of the folds, ``[N, F]``."""
    return np.asarray(numbers[:, None] == np.unique(numbers), dtype=np.float64)


def _by_image(floors: Sequence[PairedComparison]) -> list[Score]:
    """Means over the repeats of each score's value and ends."""
    names = ("accuracy", "log_loss", "macro_f1")
    parts = ([getattr(floor, name) for floor in floors] for name in names)
    return [Score(*np.mean([(s.value, s.low, s.high) for s in p], axis=0).tolist()) for p in parts]
