"""What a linear probe says of images that it has not learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finetune.evaluation.calibration import Array, fit_temperature, softmax
from finetune.training.solver import solve_head

_FOLDS = 5
"""As a solver phase has by default."""


def probed(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    num_classes: int,
    groups: Sequence[str],
    seed: int,
) -> Array:
    """Calibrated out-of-fold probabilities ``[N, C]`` of a linear probe, in five folds.

    Its regularisation and its temperature are chosen on the same out-of-fold logits: two numbers
    for all images, which no single label can bend towards itself.

    Args:
        features: ``[N, D]``, of two images at least.
        labels: Class indices ``[N]``.
        num_classes: C.
        groups: A name for each image; those of a group stay in one fold, since a copy with the same
            wrong label would vouch for it. An empty name is a group of its own.
        seed: Of the folds.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    logits = probe_logits(features, labels, num_classes, groups, seed)
    return softmax(logits, fit_temperature(logits, labels))


def probe_logits(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    num_classes: int,
    groups: Sequence[str],
    seed: int,
) -> npt.NDArray[np.float32]:
    """The logits ``[N, C]`` of such a probe; arguments and errors are those of `probed`."""
    return solve_head(
        features, labels, num_classes, l2="auto", folds=_FOLDS, seed=seed, groups=groups
    ).out_of_fold
