"""The interval of a mean loss, most of which comes from a few wrong images.

A bootstrap, of any kind, can't see errors that didn't happen: with 50 images and an accuracy of
0.98, every third sample has none, and its log loss looks certain and is far too low. So the
mean is taken apart into right and wrong images. How many are wrong is a share, with Wilson's
interval; what a wrong one costs is told by those there are and, for as many as Wilson's interval
itself supposes, by what the images would cost under another class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from finetune.evaluation.clusters import Groups, effective_size
from finetune.evaluation.intervals import Score, effective_wilson

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


def mean_loss(
    possible: Array,
    probabilities: Array,
    labels: Labels,
    groups: Groups | None,
    confidence: float,
) -> Score:
    """The mean loss of images, with an interval.

    With the share of wrong images ``e`` from ``low`` to ``high``, the mean losses ``R`` of right
    and ``W`` of wrong images and their standard errors ``r`` and ``w``, the upper end is the mean
    plus the root of ``((high - e) * (W - R))**2 + (z * (1 - e) * r)**2 + (z * high * w)**2``, and
    the lower likewise (distances recovered from each part's own interval; Zou and Donner 2008).
    ``W`` and ``w`` count ``z**2 / 2`` images more than were wrong, which is what Wilson's centre
    adds; each costs what the model expects of an image that it has wrong. No mean is above what the
    costliest image would cost.

    Args:
        possible: What each image would cost under each class, ``[N, C]``.
        probabilities: The answers ``[N, C]``.
        labels: Class indices ``[N]``; at least one.
        groups: The images' groups; None: each its own.
        confidence: Coverage of the interval.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    wrong = probabilities.argmax(1) != labels
    worth = effective_size(wrong, groups, confidence)
    errors = effective_wilson(float(wrong.mean()), worth, confidence)
    assert errors.value is not None
    assert errors.low is not None
    assert errors.high is not None
    parts = _parts(possible, probabilities, labels, z * z / 2, worth / len(labels))
    more = max(parts.wrong - parts.right, 0.0)
    right = z * (1 - errors.value) * parts.right_error
    below = (errors.value - errors.low) * more, right, z * errors.value * parts.wrong_error
    above = (errors.high - errors.value) * more, right, z * errors.high * parts.wrong_error
    low, high = parts.mean - math.hypot(*below), parts.mean + math.hypot(*above)
    return Score(parts.mean, max(0.0, low), max(min(high, float(possible.max())), parts.mean))


@dataclass(frozen=True)
class _Parts:
    """The mean loss, and that of right and of wrong images with their standard errors."""

    mean: float
    right: float
    right_error: float
    wrong: float
    wrong_error: float


def _parts(
    possible: Array, probabilities: Array, labels: Labels, supposed: float, worth: float
) -> _Parts:
    """The parts of the mean; an image counts as ``worth`` independent ones in standard errors."""
    losses = np.take_along_axis(possible, labels[:, None], axis=1)[:, 0]
    answers = probabilities.argmax(1)
    wrong = answers != labels
    right = losses[~wrong] if not wrong.all() else np.zeros(1)
    doubt = probabilities.copy()
    np.put_along_axis(doubt, answers[:, None], 0.0, axis=1)
    doubt *= supposed / max(float(doubt.sum()), np.finfo(np.float64).tiny)
    count = int(wrong.sum()) + supposed
    mean, square = (
        float((losses[wrong] ** power).sum() + (doubt * possible**power).sum()) / count
        for power in (1, 2)
    )
    return _Parts(
        mean=float(losses.mean()),
        right=float(right.mean()),
        right_error=float(right.std()) / math.sqrt(len(right) * worth),
        wrong=mean,
        wrong_error=math.sqrt(max(square - mean * mean, 0.0) / (count * min(worth, 1.0))),
    )
