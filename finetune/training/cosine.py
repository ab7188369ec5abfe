"""A regression on directions: what counts is where an image's features point, not how far.

The cosine classifier of Gidaris and Komodakis 2018 ("Dynamic few-shot visual learning without
forgetting") and of the baseline++ of Chen et al. 2019 ("A closer look at few-shot classification"),
here on frozen features and as a convex problem: multinomial logistic regression without a bias
on features less their mean, each at length 1. The length of a class's weights is free.

For an image that is ``v`` from the centre its logits are ``w . v / |v|``. Dividing by ``|v|``
changes all classes' logits alike, and with no bias never which is largest: what is shipped is
``w . v / length`` with the mean length of all images, a linear layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from finetune.evaluation.calibration import log_losses
from finetune.training.balance import ClassWeights, image_weights
from finetune.training.heads import (
    Array,
    Linear,
    Shipped,
    SolvedHead,
    folds_of,
    threads_for,
    unit,
    views_of,
)
from finetune.training.newton import Regressions, minimise
from finetune.training.rotation import Rotation
from finetune.training.strength import (
    FINAL_TOLERANCE,
    GRID,
    SEARCH_TOLERANCE,
    Point,
    follow_path,
)


def solve_cosine(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    num_classes: int,
    *,
    l2: Literal["auto"] | float,
    folds: int,
    seed: int,
    groups: Sequence[str] | None = None,
    class_weights: ClassWeights = "none",
) -> SolvedHead:
    """Regularised multinomial logistic regression on directions from the mean, without a bias.

    The arguments are `solve_head`'s, and so is what becomes of views, of folds and of classes
    without an image. A fold's centre and mean length are those of its own images. The strength is
    chosen by the log loss of what is shipped, the linear layer.

    It takes ``8 * (folds + 1) * N * min(N, D)`` bytes, since each fold has rows of its own.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    views = views_of(features, labels)
    with threads_for(views):
        pairs = folds_of(labels, folds, seed, groups)
        problems = _Folds.of(views, labels, num_classes, pairs, class_weights)
        strengths = GRID if l2 == "auto" else (l2,)
        best, curve = follow_path(strengths, problems.start, problems.point)
        best = problems.point(best, best.l2, FINAL_TOLERANCE)
        whole = _Directions.of(views, labels, num_classes, class_weights)
        weight, bias = whole.shipped(views, best.l2)
    out_of_fold = problems.judged(best.coefficients).astype(np.float32)
    return SolvedHead(weight, bias, best.l2, out_of_fold, best.log_loss, curve)


def refit_cosine(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    num_classes: int,
    *,
    l2: float,
    class_weights: ClassWeights = "none",
) -> Shipped:
    """The weight ``[C, D]`` and bias ``[C]`` that `solve_cosine` finds at ``l2``.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    views = views_of(features, labels)
    with threads_for(views):
        return _Directions.of(views, labels, num_classes, class_weights).shipped(views, l2)


@dataclass(frozen=True)
class _Directions:
    """Where some images are from their centre, as a regression.

    Attributes:
        centre: ``[D]``.
        length: Mean distance from the centre.
        rotation: To the directions' principal axes.
        problem: One regression, without a bias.
        images: How many images there are.
    """

    centre: Array
    length: float
    rotation: Rotation
    problem: Regressions
    images: int

    @classmethod
    def of(
        cls,
        views: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        num_classes: int,
        class_weights: ClassWeights,
    ) -> _Directions:
        """Of ``views [V, N, D]``, of which a picture's share is divided among them."""
        vectors = views.reshape(-1, views.shape[-1]).astype(np.float64)
        centre = vectors.mean(0)
        vectors -= centre
        length = float(np.linalg.norm(vectors, axis=1).mean()) or 1.0
        rotation = Rotation.of(unit(vectors), np.zeros_like(centre))
        rows = rotation.apply(unit(vectors))
        rows[:, -1] = 0.0  # no bias
        every = np.tile(labels.astype(np.int64), len(views))
        counted = image_weights(every, class_weights)
        absent = np.bincount(labels, minlength=num_classes) == 0
        problem = Regressions(rows, every, (counted / counted.sum())[:, None], absent[None])
        return cls(centre, length, rotation, problem, len(labels))

    @property
    def start(self) -> Array:
        """Coefficients to begin with, ``[R + 1, 1, C]``."""
        return np.zeros((self.problem.rows.shape[1], *self.problem.absent.shape))

    def solve(self, start: Array, l2: float, tolerance: float) -> Array:
        """The coefficients ``[R + 1, 1, C]`` at ``l2``, found from ``start``."""
        return np.asarray(minimise(self.problem, start, l2, tolerance), dtype=np.float64)

    def layer(self, coefficients: Array) -> Linear:
        """What is shipped of the classifier with ``coefficients [R + 1, 1, C]``."""
        weight, _ = self.rotation.undo(coefficients[:, 0])
        weight = weight / self.length
        return Linear(weight, -weight @ self.centre, self.problem.absent[0], self.images)

    def shipped(self, views: npt.NDArray[np.floating], l2: float) -> Shipped:
        """The layer at ``l2``, as numbers for features like ``views``."""
        coefficients = self.solve(self.start, l2, FINAL_TOLERANCE)
        return self.layer(coefficients).shipped(views.reshape(-1, views.shape[-1]))


@dataclass(frozen=True)
class _Folds:
    """A regression for each fold, and the images that it judges.

    Attributes:
        regressions: One a fold.
        judge: Positions of the images that each fold leaves out.
        features: First views of all images ``[N, D]``.
        labels: Class indices ``[N]``.
        counted: What each image counts for in the log loss, ``[N]``.
    """

    regressions: list[_Directions]
    judge: list[npt.NDArray[np.integer]]
    features: npt.NDArray[np.floating]
    labels: npt.NDArray[np.integer]
    counted: Array

    @classmethod
    def of(
        cls,
        views: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        num_classes: int,
        pairs: Sequence[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]],
        class_weights: ClassWeights,
    ) -> _Folds:
        made = [
            _Directions.of(views[:, learn], labels[learn], num_classes, class_weights)
            for learn, _ in pairs
        ]
        counted = image_weights(labels, class_weights)
        return cls(made, [judge for _, judge in pairs], views[0], labels, counted)

    @property
    def start(self) -> list[Array]:
        return [fold.start for fold in self.regressions]

    def point(
        self, before: Point[list[Array]], l2: float, tolerance: float = SEARCH_TOLERANCE
    ) -> Point[list[Array]]:
        """What is found at ``l2``, beginning at another point."""
        found = [
            fold.solve(start, l2, tolerance)
            for fold, start in zip(self.regressions, before.coefficients, strict=True)
        ]
        losses = log_losses(self.judged(found), self.labels, 1.0)
        return Point(l2, float(np.average(losses, weights=self.counted)), found)

    def judged(self, found: list[Array]) -> Array:
        """Logits of each image from the fold that left it out, ``[N, C]``."""
        layers = [fold.layer(own) for fold, own in zip(self.regressions, found, strict=True)]
        logits = np.empty((len(self.labels), len(layers[0].bias)))
        for places, layer in zip(self.judge, layers, strict=True):
            logits[places] = layer.logits(self.features[places])
        return logits
