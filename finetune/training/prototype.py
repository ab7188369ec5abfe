"""A head without regression: each class is where the mean of its images points.

Nearest class means are what prototypical networks judge by (Snell et al. 2017); on the frozen
features of a network that was not trained for it, they are best compared by angle, after the
features' mean is taken away (Wang et al. 2019, "SimpleShot"). There is nothing to fit but one
number, the scale of the logits, so that two images a class are enough to go on.

For an image whose features ``f`` are ``v = f - centre`` from the centre, the nearest class by angle
has the largest ``v . p / |v|``. Dividing by ``|v|`` changes all classes' logits alike and so never
which is largest: what is shipped is ``scale * v . p / spread``, a linear layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.evaluation.calibration import log_losses
from finetune.training.heads import (
    Array,
    Linear,
    Shipped,
    SolvedHead,
    folds_of,
    threads_for,
    unit,
    views_of,
    with_unseen,
)

SCALES: tuple[float, ...] = tuple(float(10.0 ** (i / 8)) for i in range(-8, 25))
"""Scales that are tried: 0.1, logits that say hardly anything, to 1000, in eighths of decades."""

_USUAL = 10.0
"""Where Gidaris and Komodakis 2018 begin to learn theirs."""

_PRIOR_WIDTH = 0.5
"""Standard deviation of the scale's logarithm before any image is seen, as for temperatures."""


def solve_prototypes(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    num_classes: int,
    *,
    folds: int,
    seed: int,
    groups: Sequence[str] | None = None,
) -> SolvedHead:
    """The directions of the classes' means, at a scale fitted to out-of-fold log losses.

    Where every image is right, the log loss alone would ask for an endless scale; so a weak prior
    speaks with the images, as it does in `fit_temperature`: the scale's logarithm is normal around
    that of 10 with a standard deviation of 0.5. The features' mean squared distance from their mean
    is 1 for it, whatever the network.

    An image is its features, less the mean of all, at length 1; a class is the mean of its images,
    at length 1. All classes count alike, however many images they have.

    A class without an image to learn from, in a fold or at all, counts as half an image. Where
    there are several views of each image, all are learnt from; folds keep an image's views
    together, and what is judged is the first view. A fold's centre is that of its own images.

    Args:
        features: What the head sees, ``[N, D]``, or ``[V, N, D]`` of several views.
        labels: Class indices ``[N]``.
        num_classes: C.
        folds: Folds of the cross-validation, stratified; fewer where there are fewer images.
        seed: Of the folds.
        groups: A name for each row; rows of a group stay in one fold, unless all rows are one
            group.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    views = views_of(features, labels)
    with threads_for(views):
        judged = _Judged.of(views, labels, num_classes, folds_of(labels, folds, seed, groups))
        curve = tuple((scale, judged.log_loss(scale, labels)) for scale in SCALES)
        scale, log_loss = min(curve, key=lambda point: len(labels) * point[1] + _surprise(point[0]))
        weight, bias = _prototypes(views, labels, num_classes, scale).shipped(_rows(views))
    out_of_fold = judged.logits(scale).astype(np.float32)
    return SolvedHead(weight, bias, scale, out_of_fold, log_loss, curve)


def refit_prototypes(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    num_classes: int,
    *,
    scale: float,
) -> Shipped:
    """The weight ``[C, D]`` and bias ``[C]`` that `solve_prototypes` finds at ``scale``.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    views = views_of(features, labels)
    with threads_for(views):
        return _prototypes(views, labels, num_classes, scale).shipped(_rows(views))


def _prototypes(
    views: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    num_classes: int,
    scale: float,
) -> Linear:
    """The layer that the images of ``views [V, N, D]`` make."""
    vectors = views.astype(np.float64)
    centre = vectors.mean((0, 1))
    vectors -= centre
    spread = float(np.sqrt(np.square(vectors).sum(-1).mean()))
    members = np.eye(num_classes)[labels]  # [N, C]
    prototypes = unit(members.T @ unit(vectors).sum(0))  # [C, D]
    weight = scale / (spread or 1.0) * prototypes
    return Linear(weight, -weight @ centre, ~members.any(0), len(labels))


def _surprise(scale: float) -> float:
    """What the prior adds to the summed log losses, in nats."""
    return (math.log(scale / _USUAL) / _PRIOR_WIDTH) ** 2 / 2


def _rows(views: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return views.reshape(-1, views.shape[-1])


@dataclass(frozen=True)
class _Judged:
    """What is said of each image by prototypes that it had no part in.

    Attributes:
        plain: Logits at a scale of 1, ``[N, C]``.
        absent: Classes that nobody showed them, ``[N, C]``.
        images: How many images they were made of, ``[N, 1]``.
    """

    plain: Array
    absent: npt.NDArray[np.bool_]
    images: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        views: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        num_classes: int,
        pairs: Sequence[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]],
    ) -> _Judged:
        shape = len(labels), num_classes
        own = cls(np.empty(shape), np.empty(shape, bool), np.empty((len(labels), 1), np.int64))
        for learn, judge in pairs:
            layer = _prototypes(views[:, learn], labels[learn], num_classes, 1.0)
            own.plain[judge] = views[0, judge] @ layer.weight.T + layer.bias
            own.absent[judge], own.images[judge] = layer.absent, layer.images
        return own

    def logits(self, scale: float) -> Array:
        return with_unseen(scale * self.plain, self.absent, self.images)

    def log_loss(self, scale: float, labels: npt.NDArray[np.integer]) -> float:
        return float(log_losses(self.logits(scale), labels, 1.0).mean())
