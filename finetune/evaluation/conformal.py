"""Prediction sets that hold the true class as often as is promised.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Papadopoulos et al. 2002) with the log
loss as the score, which puts into the set every class that is probable enough: the smallest sets
on average of all that keep the promise (least ambiguous set-valued classifiers; Sadinle, Lei and
Wasserman 2019). It needs no random numbers, and few lines; so no library is asked for it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def loss_limit(losses: Array, coverage: float) -> float | None:
    """The largest log loss at which a class is still in the set.

    It is the ``ceil((n + 1) * coverage)``-th smallest of the true classes' losses. Then the set of
    a new image, drawn as these were, holds its class with a chance from ``coverage`` to
    ``coverage + 1 / (n + 1)``.

    Args:
        losses: The log loss of each image ``[n]`` that the weights were not fitted to.
        coverage: What is promised, between 0 and 1.

    Returns:
        The limit; None where n images can't keep the promise: it takes
        ``coverage / (1 - coverage)`` of them.
    """
    rank = math.ceil(round((len(losses) + 1) * coverage, 9))  # 0.9 * 10 is 9, not 9.000000001
    return float(np.sort(losses)[rank - 1]) if rank <= len(losses) else None


def prediction_sets(possible: Array, limit: float) -> npt.NDArray[np.bool_]:
    """Which classes are in each image's set, ``[N, C]``; none, where no class is likely enough.

    Args:
        possible: The log loss of each image under each class, ``[N, C]``.
        limit: From `loss_limit`.
    """
    return np.asarray(possible <= limit)
