"""How right the classifier is at each height of its confidence: the reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.evaluation.clusters import Groups, share
from finetune.evaluation.intervals import Score
from finetune.evaluation.weighted import BINS, confidence_bins

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """The images whose confidence lies in one bin.

    Attributes:
        low: Lower edge of the bin; a confidence that is equal to it is in the bin below.
        high: Upper edge.
        n: How many images are in it.
        confidence: Their mean confidence; None where there are none.
        accuracy: The share of them that are right, with its Wilson interval.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: Score


def reliability(
    probabilities: Array,
    labels: npt.NDArray[np.integer],
    confidence: float,
    groups: Groups | None = None,
) -> list[Bin]:
    """The bins of the reliability diagram (Niculescu-Mizil and Caruana 2005), lowest first.

    They are the 15 equal bins of the calibration error, which is the mean over images of the
    distance between their bin's ``confidence`` and ``accuracy``.

    Args:
        probabilities: ``[N, C]``.
        labels: Class indices ``[N]``.
        confidence: Coverage of the intervals.
        groups: The images' groups ``[N]``; None: each its own.
    """
    top = probabilities.max(1) if len(labels) else np.empty(0)
    correct = probabilities.argmax(1) == labels
    place = confidence_bins(top)
    bins = []
    for number in range(BINS):
        inside = place == number
        accuracy = share(correct[inside], None if groups is None else groups[inside], confidence)
        mean = float(top[inside].mean()) if inside.any() else None
        edges = number / BINS, (number + 1) / BINS
        bins.append(Bin(*edges, int(inside.sum()), mean, accuracy))
    return bins


def error_by_chance(probabilities: Array) -> float:
    """The calibration error that chance alone gives where the probabilities are right.

    In each bin the distance between confidence and accuracy is then nearly normal around 0, and
    its mean size ``sqrt(2 / pi)`` standard deviations. The calibration error of few images is too
    large by about that much, which no recount of the same images can tell from a real error
    (Broecker 2012; Roelofs et al. 2022, "Mitigating bias in calibration error estimation").

    Args:
        probabilities: ``[N, C]``; at least one image.
    """
    top = probabilities.max(1)
    variances = np.bincount(confidence_bins(top), weights=top * (1 - top))
    return float(np.sqrt(2 / np.pi * variances).sum() / len(top))
