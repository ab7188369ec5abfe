"""How common classes are, and what each image counts for."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ClassWeights = Literal["none", "sqrt", "balanced"]

_POWERS = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}

UNSEEN = 0.5
"""Images that a class counts for of which there is none (Krichevsky and Trofimov 1981): a class
that a fold has not seen is unlikely, not impossible."""


def class_counts(labels: npt.NDArray[np.integer], classes: int) -> Array:
    """How many images are of each class, ``[C]``."""
    return np.bincount(labels, minlength=classes).astype(np.float64)


def class_weights(counts: Array, kind: ClassWeights) -> Array:
    """What an image of each class counts for, ``[C]``, 1 in the mean over the images.

    ``balanced`` is ``n / (C * n_c)`` for the C classes that have an image, as in King and Zeng
    2001 and scikit-learn; ``sqrt`` goes as the root of that. A class without an image counts 0.

    Args:
        counts: Images of each class ``[C]``; at least one.
        kind: ``none``, ``sqrt`` or ``balanced``.
    """
    present = counts > 0
    weights = np.where(present, np.maximum(counts, 1.0) ** -_POWERS[kind], 0.0)
    return np.asarray(weights * counts.sum() / (weights * counts).sum())


def image_weights(labels: npt.NDArray[np.integer], kind: ClassWeights) -> Array:
    """What each image counts for, ``[N]``, 1 in the mean; N > 0."""
    weights = class_weights(class_counts(labels, int(labels.max()) + 1), kind)
    return np.asarray(weights[labels])


def log_prior(counts: Array) -> Array:
    """The logarithm of each class's share of the images, ``[C]``; an unseen one counts half."""
    seen = np.maximum(counts, UNSEEN)
    return np.asarray(np.log(seen / counts.sum()))
