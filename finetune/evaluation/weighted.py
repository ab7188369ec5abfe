"""Scores of a sample in which images count several times or not at all.

The bootstrap wants each score for a thousand resamplings. Here a resampling is a column of counts,
and all of a score's columns are computed at once: sums over images become products of a sparse
matrix with the counts. The classes keep their sizes in every resampling (`bootstrap.resample`).
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

    Called, it gives ``[7 + C, B]``: the scores in `names`' order and then each class's F1, which
    is not a number for a class without images.

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
        self.support = np.bincount(labels, minlength=classes).astype(np.float64)
        self.hits = _sums(labels, classes, correct.astype(np.float64))
        self.answers = _sums(predicted, classes)
        self.misfit = _calibration_gaps(probabilities, correct)
        self.losses = np.stack([image_losses(probabilities, labels), briers(probabilities, labels)])
        ranked = np.flatnonzero((self.support > 0) & (self.support < count))
        self.rankings = [Ranking.of(probabilities[:, c], labels == c) for c in ranked]
        self.binary = classes == 2

    def __call__(self, counts: Array) -> Array:
        """All scores ``[7 + C, B]`` for counts ``[N, B]``."""
        present = self.support > 0
        hits, support = self.hits @ counts, self.support[:, None]
        recall = hits[present] / support[present]
        f1 = np.full_like(hits, np.nan)
        f1[present] = 2 * hits[present] / (support + self.answers @ counts)[present]
        log_loss, brier = self.losses @ counts / len(counts)
        ece = np.abs(self.misfit @ counts).sum(0) / len(counts)
        auc, precision = self._rank(counts)
        scores = [recall.mean(0), f1[present].mean(0), log_loss, brier, ece, auc, precision]
        return np.concatenate([np.stack(scores), f1])

    def _rank(self, counts: Array) -> Array:
        """The area under the ROC curve and the average precision, ``[2, B]``."""
        if not self.rankings:
            return np.full((2, counts.shape[1]), np.nan)
        total = np.zeros((2, counts.shape[1]))
        for ranking in self.rankings:
            both = ranking.scores(counts)
            total += both
        total /= len(self.rankings)
        if self.binary:  # the area is the second class's, the precision the mean of both
            total[0] = both[0]
        return total


@dataclass(frozen=True)
class Ranking:
    """How one class's probability orders the images.

    Attributes:
        sums: Adds up counts, ``[3 M + 1, N]``, for the M distinct probabilities ``u`` of the
            class's own images, rising. Rows 0, 2, ..., 2 M: other images between two of the
            ``u`` (below all, above all); rows 1, 3, ...: other images at one; the last M rows:
            own images at each.
        own: How many images are of the class.
        other: How many are not.
    """

    sums: csr_array
    own: int
    other: int

    @classmethod
    def of(cls, scores: Array, is_own: npt.NDArray[np.bool_]) -> Ranking:
        """The ranking by ``scores`` ``[N]``."""
        levels, level = np.unique(scores[is_own], return_inverse=True)
        rows = np.searchsorted(levels, scores, "left") + np.searchsorted(levels, scores, "right")
        rows[is_own] = 2 * len(levels) + 1 + level
        own = int(is_own.sum())
        return cls(_sums(rows, 3 * len(levels) + 1), own, len(scores) - own)

    def scores(self, counts: Array) -> Array:
        """One-vs-rest area under the ROC curve and average precision, ``[2, B]``."""
        sums = self.sums @ counts
        levels = (len(sums) - 1) // 3
        own, others = sums[2 * levels + 1 :], sums[: 2 * levels + 1].cumsum(0)
        below, with_ties = others[:-1:2], others[1::2]
        area = (own * (below + with_ties)).sum(0) / (2 * self.own * self.other)
        found = own[::-1].cumsum(0)[::-1]
        answered = np.maximum(found + self.other - below, 1)  # 0 only where none is found
        return np.stack([area, (own * found / answered).sum(0) / self.own])


def image_losses(probabilities: Array, labels: Labels) -> Array:
    """Log loss of each image in nats, ``[N]``; probabilities are clipped as scikit-learn does."""
    own = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(own, np.finfo(np.float64).eps, 1.0)))


def briers(probabilities: Array, labels: Labels) -> Array:
    """Brier score of each image, ``[N]``: the squared error summed over classes, 0 to 2.

    Brier 1950's own definition; the halved one for two classes is half of it.
    """
    own = probabilities[np.arange(len(labels)), labels]
    return np.asarray(np.square(probabilities).sum(1) - 2 * own + 1)


def _calibration_gaps(probabilities: Array, correct: npt.NDArray[np.bool_]) -> csr_array:
    """Adds up confidence less correctness in each of `BINS` equal bins of confidence."""
    confidence = probabilities.max(1)
    bins = np.searchsorted(np.arange(1, BINS) / BINS, confidence)
    return _sums(bins, BINS, confidence - correct)


def _sums(rows: npt.NDArray[np.integer], count: int, values: Array | None = None) -> csr_array:
    """The matrix ``[count, N]`` that adds up image n (times its value) in row ``rows[n]``."""
    order = np.argsort(rows, kind="stable").astype(np.int32)
    data = np.ones(len(rows)) if values is None else values[order]
    bounds = np.concatenate([[0], np.bincount(rows, minlength=count).cumsum()]).astype(np.int32)
    return csr_array((data, order, bounds), shape=(count, len(rows)))
