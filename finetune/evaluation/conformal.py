"""Prediction sets that hold the true class as often as is promised.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Papadopoulos et al. 2002) with the log
loss as the score, which puts into the set every class that is probable enough: the smallest sets
on average of all that keep the promise (least ambiguous set-valued classifiers; Sadinle, Lei and
Wasserman 2019). It needs no random numbers, and few lines; so no library is asked for it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finetune.evaluation.clusters import Groups

Array = npt.NDArray[np.float64]


def loss_limit(losses: Array, coverage: float, groups: Groups | None = None) -> float | None:
    """The largest log loss at which a class is still in the set.

    It is the ``ceil((n + 1) * coverage)``-th smallest of the true classes' losses. Then the set of
    a new image, drawn as these were, holds its class with a chance from ``coverage`` to
    ``coverage + 1 / (n + 1)``.

    Of images in groups, new ones come from groups that were not seen. Groups count alike then,
    and each image for its part of its group (Lee, Barber and Willett 2023, "Distribution-free
    inference with hierarchical data"); so n is the number of groups.

    Args:
        losses: The log loss of each image ``[N]`` that the weights were not fitted to.
        coverage: What is promised, between 0 and 1.
        groups: The images' groups ``[N]``; None: each its own.

    Returns:
        The limit; None where they can't keep the promise: it takes ``coverage / (1 - coverage)``
        groups.
    """
    own = np.arange(len(losses)) if groups is None else groups
    _, member, sizes = np.unique(own, return_inverse=True, return_counts=True)
    order = np.argsort(losses, kind="stable")
    reached = np.cumsum(1 / sizes[member[order]])  # groups below each loss, of n + 1
    enough = np.flatnonzero(reached >= (len(sizes) + 1) * coverage - 1e-9)  # 0.9 * 10 is 9
    return float(losses[order[enough[0]]]) if len(enough) else None


def prediction_sets(possible: Array, limit: float) -> npt.NDArray[np.bool_]:
    """Which classes are in each image's set, ``[N, C]``; none, where no class is likely enough.

    Args:
        possible: The log loss of each image under each class, ``[N, C]``.
        limit: From `loss_limit`.
    """
    return np.asarray(possible <= limit)
