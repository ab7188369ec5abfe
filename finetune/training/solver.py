"""The linear head on frozen features, solved as the convex problem that it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from finetune.training.balance import UNSEEN, ClassWeights, image_weights
from finetune.training.heads import (
    Shipped,
    SolvedHead,
    folds_of,
    threads_for,
    views_of,
    with_unseen,
)
from finetune.training.newton import Regressions, log_sum_exp, minimise
from finetune.training.rotation import Array, Rotation
from finetune.training.strength import (
    FINAL_TOLERANCE,
    GRID,
    SEARCH_TOLERANCE,
    Curve,
    Point,
    follow_path,
)

_WANTS_DOUBLE = 1e-3
"""Log loss, in nats, below which the search goes on in double precision; above it, single precision
takes it to the same place in half the time."""

_SIDE_BY_SIDE = 10_000_000
"""Most logits of all regressions that are solved at once (80 MB an array of them)."""


def solve_head(
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
    """Regularised multinomial logistic regression with a free bias.

    The features are rotated once, from all rows. That lets nothing leak from a fold into the
    rest: no label has a part in it, and in any rotation the solution of each fold is the same
    (`Rotation`). The folds and the final head are then solved side by side (`Regressions`), each
    strength starting where the one before it ended.

    A class without an image to learn from, in a fold or at all, counts as half an image.

    Where there are several views of each image, all are learnt from, an image's share being divided
    among them; folds keep an image's views together, and what is judged is the first view.

    It takes ``12 * N * min(N, D)`` bytes and, beside that, about half a gigabyte or ``50 * N * C``
    bytes if that is more; and some ``1000 * N * min(N, D) * C * folds`` operations.

    Args:
        features: What the head sees, ``[N, D]``, or ``[V, N, D]`` of several views.
        labels: Class indices ``[N]``.
        num_classes: C.
        l2: Strength of the regularisation, or ``auto``: the one of `GRID` with the lowest
            cross-validated log loss.
        folds: Folds of the cross-validation, stratified; fewer where there are fewer images.
        seed: Of the folds.
        groups: A name for each row; rows of a group stay in one fold, unless all rows are one
            group.
        class_weights: How much an image counts, in what is minimised and in the log loss that
            chooses the strength; in a fold, by how common classes are in it.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    rows, every, views = _rows_of(features, labels)
    held = np.tile(_held_out(labels, folds, seed, groups), (views, 1))
    with threads_for(rows):
        return _solve_rotated(rows, every, num_classes, l2, _Folds(held, views), class_weights)


def refit_head(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    num_classes: int,
    *,
    l2: float,
    class_weights: ClassWeights = "none",
) -> Shipped:
    """The weight ``[C, D]`` and bias ``[C]`` that `solve_head` finds at ``l2``, and nothing else.

    Without the folds it takes a fraction of the time. The arguments are `solve_head`'s.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    rows, every, views = _rows_of(features, labels)
    with threads_for(rows):
        rotation = Rotation.of(rows)
        none_held = np.empty((len(rows), 0), dtype=bool)
        turned = rotation.apply(rows)
        problem = _regressions(turned, every, num_classes, none_held, class_weights)
        start = np.zeros((problem.rows.shape[1], *problem.absent.shape))
        coefficients = _solve(problem, start, l2, FINAL_TOLERANCE)
        weight, bias = rotation.undo(_final(problem, coefficients, views))
    return weight.astype(np.float32), bias.astype(np.float32)


def _rows_of(
    features: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.int64], int]:
    """All views below one another, ``[V * N, D]``, their labels, and V."""
    views = views_of(features, labels)
    rows = views.reshape(-1, views.shape[-1])
    return rows, np.tile(labels.astype(np.int64), len(views)), len(views)


def _solve_rotated(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    l2: Literal["auto"] | float,
    folds: _Folds,
    class_weights: ClassWeights,
) -> SolvedHead:
    rotation = Rotation.of(features)
    turned = rotation.apply(features)
    problem = _regressions(turned, labels, num_classes, folds.held, class_weights)
    best, curve = _follow_path(problem, folds, GRID if l2 == "auto" else (l2,))
    coefficients = _solve(problem, best.coefficients, best.l2, FINAL_TOLERANCE)
    out_of_fold = _out_of_fold(problem, folds, coefficients)
    weight, bias = rotation.undo(_final(problem, coefficients, folds.views))
    return SolvedHead(
        weight=weight.astype(np.float32),
        bias=bias.astype(np.float32),
        chosen=best.l2,
        out_of_fold=out_of_fold.astype(np.float32),
        cv_log_loss=_mean_log_loss(out_of_fold, problem),
        curve=curve,
    )


@dataclass(frozen=True)
class _Folds:
    """Which rows each fold leaves out, ``[V * N, K]``, and how many views V an image has."""

    held: npt.NDArray[np.bool_]
    views: int

    @property
    def images(self) -> int:
        return len(self.held) // self.views


def _held_out(
    labels: npt.NDArray[np.integer], folds: int, seed: int, groups: Sequence[str] | None
) -> npt.NDArray[np.bool_]:
    """Which rows each fold leaves out, ``[N, K]``."""
    pairs = folds_of(labels, folds, seed, groups)
    held = np.zeros((len(labels), len(pairs)), dtype=bool)
    for fold, (_, outside) in enumerate(pairs):
        held[outside, fold] = True
    return held


def _regressions(
    rows: Array,
    labels: npt.NDArray[np.int64],
    num_classes: int,
    held: npt.NDArray[np.bool_],
    class_weights: ClassWeights,
) -> Regressions:
    """A regression for each fold and, as the last one, that of all rows."""
    learns = np.column_stack([~held, np.ones(len(held), dtype=bool)])
    absent = np.ones((learns.shape[1], num_classes), dtype=bool)
    weights = np.zeros(learns.shape)
    for regression, column in enumerate(learns.T):
        absent[regression, labels[column]] = False
        weights[column, regression] = image_weights(labels[column], class_weights)
    return Regressions(rows, labels, weights / weights.sum(0), absent)


def _follow_path(
    problem: Regressions, folds: _Folds, strengths: Sequence[float]
) -> tuple[Point[Array], Curve]:
    """The best point, and the whole curve."""
    quick = problem.in_single_precision()

    def solve(before: Point[Array], l2: float) -> Point[Array]:
        chosen = problem if before.log_loss < _WANTS_DOUBLE else quick
        coefficients = _solve(chosen, before.coefficients, l2, SEARCH_TOLERANCE)
        logits = _out_of_fold(problem, folds, coefficients)
        return Point(l2, _mean_log_loss(logits, problem), coefficients)

    start = np.zeros((problem.rows.shape[1], *problem.absent.shape))
    return follow_path(strengths, start, solve)


def _solve(problem: Regressions, start: Array, l2: float, tolerance: float) -> Array:
    """All regressions' coefficients ``[R + 1, K + 1, C]``, as many at once as memory allows."""
    count, classes = problem.absent.shape
    at_once = max(1, _SIDE_BY_SIDE // (len(problem.rows) * classes))
    parts = [slice(first, first + at_once) for first in range(0, count, at_once)]
    start = start.astype(problem.rows.dtype, copy=False)
    found = [minimise(problem.part(part), start[:, part], l2, tolerance) for part in parts]
    return np.concatenate(found, axis=1).astype(np.float64, copy=False)


def _out_of_fold(problem: Regressions, folds: _Folds, coefficients: Array) -> Array:
    """Logits of each image's first view from the fold that left it out, ``[N, C]``."""
    logits = np.empty((folds.images, problem.absent.shape[1]))
    for fold, outside in enumerate(folds.held[: folds.images].T):
        own = problem.rows[: folds.images][outside] @ coefficients[:, fold]
        logits[outside] = with_unseen(own, problem.absent[fold], (~outside).sum())
    return logits


def _final(problem: Regressions, coefficients: Array, views: int) -> Array:
    """The coefficients ``[R + 1, C]`` of the regression on all rows."""
    final, absent = coefficients[:, -1].copy(), problem.absent[-1]
    shares = log_sum_exp(problem.rows @ final[:, ~absent]).mean()
    final[-1, absent] = shares + np.log(UNSEEN * views / len(problem.rows))
    return final


def _mean_log_loss(logits: Array, problem: Regressions) -> float:
    """Of ``logits`` of the first rows of ``problem``, each by what it counts for."""
    count = len(logits)
    own = logits[np.arange(count), problem.labels[:count]]
    weights = problem.weights[:count, -1]
    return float(weights @ (log_sum_exp(logits) - own) / weights.sum())
