"""What all ways to solve a head on frozen features have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from finetune.errors import TrainingError
from finetune.text import plural
from finetune.training.balance import UNSEEN
from finetune.training.folds import stratified_folds
from finetune.training.newton import log_sum_exp

Array = npt.NDArray[np.float64]
Shipped = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""The weight ``[C, D]`` and bias ``[C]`` of a linear layer for features as they come."""

ONE_THREAD = 4_000_000
"""Numbers in the features up to which one thread works: the products are so short that threads
would wait for each other longer than they multiply, ten times so on a busy machine."""


@dataclass(frozen=True)
class SolvedHead:
    """A solved head and what its cross-validation says of it.

    Attributes:
        weight: For features as they came, float32 ``[C, D]``.
        bias: float32 ``[C]``.
        chosen: The number that the cross-validation chose, or the recipe: the strength of a
            regression's regularisation, or the scale of prototypes.
        out_of_fold: Logits of each image from a linear layer that had not learnt from it, at what
            was chosen; float32 ``[N, C]``.
        cv_log_loss: Mean log loss of ``out_of_fold``, in nats, each image counting for its weight.
        curve: The numbers that were tried, each with its cross-validated log loss.
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    chosen: float
    out_of_fold: npt.NDArray[np.float32]
    cv_log_loss: float
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Linear:
    """A linear layer that some images taught.

    Attributes:
        weight: ``[C, D]``.
        bias: ``[C]``.
        absent: Classes that none of the images is of, ``[C]``.
        images: How many images there were.
    """

    weight: Array
    bias: Array
    absent: npt.NDArray[np.bool_]
    images: int

    def logits(self, features: npt.NDArray[np.floating]) -> Array:
        """Of features ``[N, D]``: ``[N, C]``."""
        logits = features @ self.weight.T + self.bias
        return with_unseen(logits, self.absent, self.images)

    def shipped(self, features: npt.NDArray[np.floating]) -> Shipped:
        """As a layer's numbers; classes that nobody showed are as likely as on ``features``."""
        logits = self.logits(features)
        bias = np.where(self.absent, logits.mean(0), self.bias)
        return self.weight.astype(np.float32), bias.astype(np.float32)


def with_unseen(
    logits: Array, absent: npt.NDArray[np.bool_], images: int | npt.NDArray[np.integer]
) -> Array:
    """``logits [N, C]`` in which ``absent`` classes are as likely as half of one of ``images``."""
    seen = np.where(absent, -np.inf, logits)
    unseen = log_sum_exp(seen)[:, None] + np.log(UNSEEN / images)
    return np.where(absent, unseen, logits)


def views_of(
    features: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> npt.NDArray[np.floating]:
    """Features ``[N, D]`` or ``[V, N, D]`` as views, ``[V, N, D]``.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    if len(labels) < 2:
        raise TrainingError(
            f"a head can't be cross-validated on {plural(len(labels), 'image')}",
            mend="Give at least two images to learn from.",
        )
    views = features.reshape(-1, *features.shape[-2:])
    broken = int((~np.isfinite(views).all((0, 2))).sum())
    if broken:
        raise TrainingError(
            f"the network's features are not finite numbers for {plural(broken, 'image')} "
            f"of {len(labels):,}",
            mend="The weights may be damaged: fetch them again, or choose others.",
        )
    return views


def folds_of(
    labels: npt.NDArray[np.integer], folds: int, seed: int, groups: Sequence[str] | None
) -> list[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]]:
    """Positions to learn from and to judge, two folds at least.

    Rows of a group stay in one fold, unless all rows are one group.
    """
    pairs = stratified_folds(labels, folds, seed, groups)
    return pairs if len(pairs) > 1 else stratified_folds(labels, folds, seed)


def unit(vectors: Array) -> Array:
    """``vectors [..., D]`` at length 1; those of length 0 as they are."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0))


@contextmanager
def threads_for(features: npt.NDArray[np.floating]) -> Iterator[None]:
    """One thread for the products of so few features; else as many as there are."""
    with threadpool_limits(1 if features.size <= ONE_THREAD else None, "blas"):
        yield
