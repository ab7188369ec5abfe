"""The scores that are no plain shares of images, each with its interval.

Which interval is whose was decided by measuring how often it holds the truth
(``benchmarks/coverage.py``). The percentile bootstrap holds it in 70 of 100 samples where 95 are
promised, when nearly all images are right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from finetune.evaluation.averages import (
    from_spread,
    mean_of,
    wider,
    worth_of_areas,
    worth_of_means,
)
from finetune.evaluation.bootstrap import drawn
from finetune.evaluation.clusters import Groups, effective_size, share
from finetune.evaluation.intervals import UNDEFINED, Score, wilson_of_few
from finetune.evaluation.losses import mean_loss
from finetune.evaluation.reliability import error_by_chance
from finetune.evaluation.values import values
from finetune.evaluation.weighted import WeightedScores, possible_briers, possible_losses

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Answers:
    """A classifier's answers to labelled images.

    Attributes:
        probabilities: ``[N, C]``.
        labels: Class indices ``[N]``.
        groups: The images' groups ``[N]``; None: each its own.
        confidence: Coverage of intervals.
    """

    probabilities: Array
    labels: Labels
    groups: Groups | None
    confidence: float

    @cached_property
    def predicted(self) -> Labels:
        """The most probable classes ``[N]``."""
        return np.asarray(self.probabilities.argmax(1))

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which of them are right, ``[N]``."""
        return np.asarray(self.predicted == self.labels)

    def share(
        self, hits: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_] | None = None
    ) -> Score:
        """The share of ``hits`` ``[N]`` among all images, or some, with its Wilson interval.

        Some may be few: theirs is `wilson_of_few`, unless groups make it wider by themselves.
        """
        if among is None:
            return share(hits, self.groups, self.confidence)
        if self.groups is None:
            return wilson_of_few(int(hits[among].sum()), int(among.sum()), self.confidence)
        return share(hits[among], self.groups[among], self.confidence)

    def recall(self, c: int) -> Score:
        """The share of right ones of the images of class ``c``."""
        return self.share(self.correct, self.labels == c)

    def precision(self, c: int) -> Score:
        """The share of right ones of the images that were taken for class ``c``."""
        return self.share(self.correct, self.predicted == c)

    def f1(self, c: int) -> Score:
        """The F1 of class ``c``; undefined where no image is of it."""
        of_it = self.labels == c
        if not of_it.any():
            return UNDEFINED
        return f1_of(self.share(self.correct, of_it | (self.predicted == c)))

    def worth(self, images: npt.NDArray[np.bool_]) -> float:
        """How many independent images those are worth that ``images`` ``[N]`` chooses."""
        groups = None if self.groups is None else self.groups[images]
        return effective_size(self.correct[images], groups, self.confidence)


def f1_of(jaccard: Score) -> Score:
    """The F1 of a class from the share of right ones of the images of it or taken for it.

    ``F1 = 2 J / (1 + J)`` with J that share; J's Wilson interval gives that of F1 (Lam, Gopal and
    Jiang 2023, "Confidence intervals for the F1 score: a comparison of four methods").
    """
    ends = (jaccard.value, jaccard.low, jaccard.high)
    return Score(*(2 * end / (1 + end) for end in ends if end is not None))


def estimate(answers: Answers, resamples: int, seed: int) -> dict[str, Score]:
    """The scores of `WeightedScores`, by name.

    - Balanced accuracy and macro F1: `from_spread`, or `mean_of` where that is wider.
    - ROC AUC and average precision: `from_spread`. Few images make the latter too large; so its
      interval also holds that around the value less the bootstrap's estimate of this bias.
    - Log loss and Brier score: `mean_loss`; of images in groups, widened to hold the cluster
      bootstrap's percentiles.
    - ``ece``: see `_calibration_error`.

    Args:
        answers: The answers that are scored.
        resamples: Resamplings behind the spreads.
        seed: Of the resamplings.
    """
    if not len(answers.labels):
        return dict.fromkeys(WeightedScores.names, UNDEFINED)
    found = values(answers.probabilities, answers.labels)
    statistics = WeightedScores(answers.probabilities, answers.labels)
    samples = drawn(statistics, answers.labels, answers.groups, resamples, seed)
    spread = dict(zip(WeightedScores.names, samples, strict=True))
    scores = _means(answers, found, spread) | _losses(answers, spread)
    scores["ece"] = _calibration_error(answers, found["ece"], spread["ece"])
    return {name: scores[name] for name in WeightedScores.names}


def _means(answers: Answers, found: dict[str, float], spread: dict[str, Array]) -> dict[str, Score]:
    """Balanced accuracy, macro F1, ROC AUC and average precision."""
    present = [int(c) for c in np.unique(answers.labels)]
    own = np.array([answers.worth(answers.labels == c) for c in present])
    most = dict.fromkeys(found, worth_of_means(own))
    if len(present) > 1:
        ranked = slice(-1, None) if answers.probabilities.shape[1] == 2 else slice(None)
        others = np.array([answers.worth(answers.labels != c) for c in present])
        most["roc_auc"] = worth_of_areas(own[ranked], others[ranked])
    typical = max(len(own) / float((1 / own).sum()), 2.0)
    short = typical / (typical - 1)
    scores = {
        name: from_spread(found[name], spread[name], most[name], answers.confidence, short)
        for name in ("balanced_accuracy", "macro_f1", "roc_auc", "average_precision")
    }
    parts = {
        "balanced_accuracy": mean_of([answers.recall(c) for c in present]),
        "macro_f1": mean_of([answers.f1(c) for c in present], counted_twice=2),
        "average_precision": _less_bias(
            found["average_precision"],
            spread["average_precision"],
            most["average_precision"],
            answers.confidence,
            short,
        ),
    }
    return scores | {name: wider(scores[name], part) for name, part in parts.items()}


def _less_bias(value: float, samples: Array, most: float, confidence: float, short: float) -> Score:
    """`from_spread` around the value less the bias that its resamplings show."""
    if not math.isfinite(value):
        return UNDEFINED
    finite = samples[np.isfinite(samples)]
    mean = float(finite.mean()) if len(finite) else value
    return from_spread(min(max(2 * value - mean, 0.0), 1.0), samples, most, confidence, short)


def _losses(answers: Answers, spread: dict[str, Array]) -> dict[str, Score]:
    """Log loss and Brier score."""
    possible = {
        "log_loss": possible_losses(answers.probabilities),
        "brier": possible_briers(answers.probabilities),
    }
    scores = {
        name: mean_loss(
            each, answers.probabilities, answers.labels, answers.groups, answers.confidence
        )
        for name, each in possible.items()
    }
    if answers.groups is None:
        return scores
    return {name: wider(score, _middle(answers, spread[name])) for name, score in scores.items()}


def _middle(answers: Answers, samples: Array) -> Score:
    """The median of resamplings ``[B]``, and the ends of the middle of them."""
    tail = (1 - answers.confidence) / 2
    low, middle, high = np.quantile(samples, [tail, 0.5, 1 - tail])
    return Score(float(middle), float(low), float(high))


def _calibration_error(answers: Answers, value: float, samples: Array) -> Score:
    """The binned calibration error and an interval of what it is without chance.

    Chance alone makes the error of a sample larger than the truth, by no more than
    `error_by_chance`. The upper end is the value and z standard deviations of its resamplings;
    the lower end is as far below the value less that bias, or 0.
    """
    z = NormalDist().inv_cdf((1 + answers.confidence) / 2)
    reach = z * float(samples.std())
    everyone = np.ones(len(answers.labels), dtype=bool)
    chance = error_by_chance(answers.probabilities)
    chance *= math.sqrt(len(answers.labels) / answers.worth(everyone))
    return Score(value, max(0.0, value - chance - reach), min(1.0, value + reach))
