"""Scores of a sample in which images count several times or not at all.

The bootstrap wants each score for a thousand resamplings. Here a resampling is a column of counts,
and all of a score's columns are computed at once: sums over images become products of a sparse
matrix with the counts. Where whole groups are drawn, classes need not keep their sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]

BINS = 15
"""Bins of the calibration error (Guo et al. 2017)."""


class WeightedScores:
    """The scores that have no closed-form interval, for counts ``[N, B]``.

    Called, it gives ``[7, B]``, in `names`' order. Classes without images are left out of means,
    as `finetune.evaluation.values` does it; where all images are of one class, what ranks them
    is not a number.

    Args:
        probabilities: ``[N, C]``.
        labels: Class indices ``[N]``; at least one.
    """

    names = (
        "balanced_accuracy",
        "macro_f1",
        "log_loss",
        "brier",
        "ece",
        "roc_auc",
        "average_precision",
    )

    def __init__(self, probabilities: Array, labels: Labels) -> None:
        count, classes = probabilities.shape
        predicted = probabilities.argmax(1)
        correct = predicted == labels
        self.own = _sums(labels, classes)
        self.hits = _sums(labels, classes, correct.astype(np.float64))
        self.answers = _sums(predicted, classes)
        self.misfit = _calibration_gaps(probabilities, correct)
        possible = possible_losses(probabilities), possible_briers(probabilities)
        self.losses = np.stack([each[np.arange(count), labels] for each in possible])
        support = np.bincount(labels, minlength=classes)
        ranked = np.flatnonzero((support > 0) & (support < count))
        self.rankings = [Ranking.of(probabilities[:, c], labels == c) for c in ranked]
        self.binary = classes == 2

    def __call__(self, counts: Array) -> Array:
        """All scores ``[7, B]`` for counts ``[N, B]``."""
        images = counts.sum(0)
        hits, support = self.hits @ counts, self.own @ counts
        there = support > 0
        recall = np.divide(hits, support, out=np.zeros_like(hits), where=there)
        f1 = 2 * hits / np.maximum(support + self.answers @ counts, 1)
        recall, f1 = (np.where(there, each, 0.0).sum(0) / there.sum(0) for each in (recall, f1))
        log_loss, brier = self.losses @ counts / images
        ece = np.abs(self.misfit @ counts).sum(0) / images
        return np.stack([recall, f1, log_loss, brier, ece, *self._rank(counts)])

    def _rank(self, counts: Array) -> Array:
        """The area under the ROC curve and the average precision, ``[2, B]``."""
        if not self.rankings:
            return np.full((2, counts.shape[1]), np.nan)
        each = np.stack([ranking.scores(counts) for ranking in self.rankings])
        ranked = np.isfinite(each)
        counted = ranked.sum(0)
        total = np.where(ranked, each, 0.0).sum(0) / np.maximum(counted, 1)
        if self.binary:  # the area is the second class's, the precision the mean of both
            total[0] = each[-1, 0]
        return np.where(counted > 0, total, np.nan)


@dataclass(frozen=True)
class Ranking:
    """How one class's probability orders the images.

    Attributes:
        sums: Adds up counts, ``[3 M + 1, N]``, for the M distinct probabilities ``u`` of the
            class's own images, rising. Rows 0, 2, ..., 2 M: other images between two of the
            ``u`` (below all, above all); rows 1, 3, ...: other images at one; the last M rows:
            own images at each.
    """

    sums: csr_array

    @classmethod
    def of(cls, scores: Array, is_own: npt.NDArray[np.bool_]) -> Ranking:
        """The ranking by ``scores`` ``[N]``."""
        levels, level = np.unique(scores[is_own], return_inverse=True)
        rows = np.searchsorted(levels, scores, "left") + np.searchsorted(levels, scores, "right")
        rows[is_own] = 2 * len(levels) + 1 + level
        return cls(_sums(rows, 3 * len(levels) + 1))

    def scores(self, counts: Array) -> Array:
        """One-vs-rest area under the ROC curve and average precision, ``[2, B]``.

        Not a number in samples that have no image of the class, or no other.
        """
        sums = self.sums @ counts
        levels = (len(sums) - 1) // 3
        own, others = sums[2 * levels + 1 :], sums[: 2 * levels + 1].cumsum(0)
        below, with_ties, other = others[:-1:2], others[1::2], others[-1]
        found = own[::-1].cumsum(0)[::-1]
        answered = np.maximum(found + other - below, 1)  # 0 only where none is found
        held = own.sum(0)
        there = (held > 0) & (other > 0)
        area = (own * (below + with_ties)).sum(0) / np.maximum(2 * held * other, 1)
        precision = (own * found / answered).sum(0) / np.maximum(held, 1)
        return np.where(there, np.stack([area, precision]), np.nan)


def possible_losses(probabilities: Array) -> Array:
    """Log loss of each image in nats under each class, ``[N, C]``; clipped as scikit-learn does."""
    return np.asarray(-np.log(np.clip(probabilities, np.finfo(np.float64).eps, 1.0)))


def possible_briers(probabilities: Array) -> Array:
    """Brier score of each image under each class, ``[N, C]``: the squared error over classes.

    Brier 1950's own definition, 0 to 2; the halved one for two classes is half of it.
    """
    return np.asarray(np.square(probabilities).sum(1)[:, None] - 2 * probabilities + 1)


def briers(probabilities: Array, labels: Labels) -> Array:
    """Brier score of each image, ``[N]``."""
    return np.asarray(possible_briers(probabilities)[np.arange(len(labels)), labels])


def _calibration_gaps(probabilities: Array, correct: npt.NDArray[np.bool_]) -> csr_array:
    """Adds up confidence less correctness in each of `BINS` equal bins of confidence."""
    confidence = probabilities.max(1)
    return _sums(confidence_bins(confidence), BINS, confidence - correct)


def confidence_bins(confidence: Array) -> npt.NDArray[np.integer]:
    """Which of `BINS` equal bins each confidence is in, ``[N]``; upper edges belong to a bin."""
    return np.searchsorted(np.arange(1, BINS) / BINS, confidence)


def _sums(rows: npt.NDArray[np.integer], count: int, values: Array | None = None) -> csr_array:
    """The matrix ``[count, N]`` that adds up image n (times its value) in row ``rows[n]``."""
    order = np.argsort(rows, kind="stable").astype(np.int32)
    data = np.ones(len(rows)) if values is None else values[order]
    bounds = np.concatenate([[0], np.bincount(rows, minlength=count).cumsum()]).astype(np.int32)
    return csr_array((data, order, bounds), shape=(count, len(rows)))
