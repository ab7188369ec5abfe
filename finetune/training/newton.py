"""Several logistic regressions on weighted copies of the same rows, solved side by side.

The folds of a cross-validation differ only in the rows that they leave out. With weights of zero
for those, all folds are one problem whose matrix products are wide, and the logits of the rows
that a fold has left out come with the rest.

Each regression minimises the weighted mean log loss plus ``l2 / 2`` times the squared length of its
coefficients; its bias is free. The method is Newton's with conjugate gradients inside (Lin, Weng
and Keerthi 2008, "Trust region Newton method for large-scale logistic regression"), with a
backtracking line search in place of the trust region: the Hessian is never formed, and in a basis
of principal axes its diagonal is a good preconditioner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
"""In single or double precision: what is computed is in the precision of the rows."""

_MOST_STEPS = 100
_MOST_CG_STEPS = 100
_MOST_HALVINGS = 30
_ROUNDING = 1e-12
_ARMIJO = 1e-4
_FORCING = 0.3
"""How far conjugate gradients take the residual down before the next Newton step."""


@dataclass(frozen=True)
class Regressions:
    """K regressions of C classes on N rows of R columns.

    Attributes:
        rows: ``[N, R]``; the last column is ones, and its coefficients are the biases; or zeros,
            and there are none.
        labels: Class indices ``[N]``.
        weights: Weights of the rows ``[N, K]``; each column sums to one.
        absent: ``[K, C]``: whether a regression has no row of a class. Such a class has a
            probability of zero and coefficients of zero.
    """

    rows: Array
    labels: npt.NDArray[np.int64]
    weights: Array
    absent: npt.NDArray[np.bool_]

    def part(self, chosen: slice) -> Regressions:
        """The ``chosen`` ones of the K regressions."""
        return Regressions(self.rows, self.labels, self.weights[:, chosen], self.absent[chosen])

    def in_single_precision(self) -> Regressions:
        """The same problem, with sums and products that take half the time."""
        rows, weights = self.rows.astype(np.float32), self.weights.astype(np.float32)
        return Regressions(rows, self.labels, weights, self.absent)

    def logits(self, coefficients: Array) -> Array:
        """``[N, K, C]`` for coefficients ``[R, K, C]``; minus infinity for absent classes."""
        logits = self.directions(coefficients)
        logits[:, self.absent] = -np.inf
        return logits

    def directions(self, coefficients: Array) -> Array:
        """``rows`` times coefficients ``[R, K, C]``: ``[N, K, C]``."""
        wide = self.rows @ coefficients.reshape(len(coefficients), -1)
        return wide.reshape(len(self.rows), *coefficients.shape[1:])

    def pullback(self, residuals: Array) -> Array:
        """``rows`` transposed times ``[N, K, C]``: ``[R, K, C]``."""
        wide = self.rows.T @ residuals.reshape(len(self.rows), -1)
        return wide.reshape(self.rows.shape[1], *residuals.shape[1:])

    def log_losses(self, logits: Array) -> Array:
        """Each row's log loss in each regression, ``[N, K]``; infinite for absent classes."""
        own = np.take_along_axis(logits, self.labels[:, None, None], axis=2)[..., 0]
        return log_sum_exp(logits) - own


def log_sum_exp(logits: Array) -> Array:
    """The logarithm of the sum of exponentials over the last axis."""
    highest = logits.max(-1, keepdims=True)
    return np.asarray(np.log(np.exp(logits - highest).sum(-1)) + highest[..., 0])


def minimise(problem: Regressions, start: Array, l2: float, tolerance: float) -> Array:
    """The coefficients ``[R, K, C]`` that minimise each regression's objective.

    Args:
        problem: The regressions.
        start: Where to begin, ``[R, K, C]``.
        l2: Strength of the penalty.
        tolerance: The last Newton step promises to bring each objective down by no more than
            this share of it. (Of it, because on separable classes it goes to zero with the
            penalty, while the coefficients still have far to go.)
    """
    penalty = np.full((len(start), 1, 1), l2, dtype=start.dtype)
    penalty[-1] = 0.0
    scale = np.square(problem.rows).mean(0)[:, None, None]
    coefficients, logits = start.copy(), problem.logits(start)
    for _ in range(_MOST_STEPS):
        shares = np.exp(logits - log_sum_exp(logits)[..., None])
        gradient = _gradient(problem, shares, coefficients, penalty)
        step = _newton_step(problem, shares, gradient, penalty, scale)
        slope = _dot(gradient, step)
        value = _objective(problem, logits, coefficients, penalty)
        move = problem.directions(step)
        length = _line_search(problem, logits, move, coefficients, step, penalty, value, slope)
        coefficients += length[:, None] * step
        logits += length[:, None] * move
        if (-slope <= 2 * tolerance * value).all() or not length.any():
            break
    return coefficients


def _gradient(problem: Regressions, shares: Array, coefficients: Array, penalty: Array) -> Array:
    residuals = shares * problem.weights[..., None]
    positions = np.arange(len(problem.labels))
    residuals[positions, :, problem.labels] -= problem.weights
    residuals[:, problem.absent] = 0.0
    return problem.pullback(residuals) + penalty * coefficients


def _newton_step(
    problem: Regressions, shares: Array, gradient: Array, penalty: Array, scale: Array
) -> Array:
    """The Newton direction by preconditioned conjugate gradients, for all regressions at once."""
    weighted = shares * problem.weights[..., None]
    spread = (weighted * (1 - shares)).sum(0)  # [K, C]
    inverse = 1 / np.maximum(scale * spread + penalty, 1e-12 * (scale.max() or 1.0))
    step, residual = np.zeros_like(gradient), -gradient
    direction = inverse * residual
    size = _dot(residual, direction)
    target = _FORCING**2 * size
    for _ in range(_MOST_CG_STEPS):
        active = size > target
        if not active.any():
            break
        curved = _curvature(problem, shares, weighted, direction) + penalty * direction
        curvature = _dot(direction, curved)
        active &= curvature > 0
        length = np.where(active, size, 0.0) / np.where(active, curvature, 1.0)
        step += length[:, None] * direction
        residual -= length[:, None] * curved
        preconditioned = inverse * residual
        before, size = size, np.where(active, _dot(residual, preconditioned), 0.0)
        direction = preconditioned + (size / np.where(active, before, 1.0))[:, None] * direction
    return step


def _curvature(problem: Regressions, shares: Array, weighted: Array, direction: Array) -> Array:
    """The log loss's Hessian times ``direction``, ``[R, K, C]``."""
    moves = problem.directions(direction)
    moves -= np.einsum("nkc,nkc->nk", shares, moves)[..., None]
    moves *= weighted
    return problem.pullback(moves)


def _objective(problem: Regressions, logits: Array, coefficients: Array, penalty: Array) -> Array:
    """What each regression minimises, ``[K]``."""
    losses = np.where(problem.weights > 0, problem.log_losses(logits), 0.0)
    length = _dot(penalty * coefficients, coefficients)
    return np.asarray((losses * problem.weights).sum(0) + 0.5 * length)


def _line_search(
    problem: Regressions,
    logits: Array,
    move: Array,
    coefficients: Array,
    step: Array,
    penalty: Array,
    value: Array,
    slope: Array,
) -> Array:
    """The first of 1, 1/2, 1/4, ... that brings each objective down enough; 0 where none does."""
    length = np.ones_like(slope)
    for _ in range(_MOST_HALVINGS):
        ends = coefficients + length[:, None] * step
        reached = _objective(problem, logits + length[:, None] * move, ends, penalty)
        short = reached > value * (1 + _ROUNDING) + _ARMIJO * length * slope
        if not short.any():
            return length
        length[short] /= 2
    length[short] = 0.0
    return length


def _dot(a: Array, b: Array) -> Array:
    """Inner products ``[K]`` of ``[R, K, C]`` arrays, one for each regression."""
    return np.asarray(np.einsum("rkc,rkc->k", a, b))
