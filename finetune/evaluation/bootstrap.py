"""Resampling images, or groups of them, within their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from finetune.evaluation.clusters import Groups

Array = npt.NDArray[np.float64]

Statistics = Callable[[Array], Array]
"""From how often each image counts in B samples, ``[N, B]``, to S scores of each, ``[S, B]``."""

_CHUNK = 2_000_000


def drawn(
    statistics: Statistics,
    labels: npt.NDArray[np.integer],
    groups: Groups | None,
    resamples: int,
    seed: int,
) -> Array:
    """The scores of all resamplings, ``[S, B]``; see `resample`."""
    parts = [statistics(part) for part in resample(labels, resamples, seed, groups)]
    return np.concatenate(parts, axis=1)


def resample(
    labels: npt.NDArray[np.integer], resamples: int, seed: int, groups: Groups | None = None
) -> Iterator[Array]:
    """How often each image counts in each resampling, in parts ``[N, B]`` of bounded size.

    Images are drawn with replacement within each class, so that every class keeps its size (a
    stratified bootstrap; Davison and Hinkley 1997, section 3.2) and no score becomes undefined.
    Of images in groups, whole groups are drawn (a cluster bootstrap; Field and Welsh 2007),
    among those with the same commonest class: as many of each as there are, so that classes keep
    their sizes as nearly as groups allow.

    Args:
        labels: Class indices ``[N]``.
        resamples: How many resamplings all parts have together.
        seed: Of the draws.
        groups: The images' groups ``[N]``; None: each its own.
    """
    if groups is None:
        yield from _resampled(labels, resamples, seed, len(labels))
        return
    _, member = np.unique(groups, return_inverse=True)
    for part in _resampled(_commonest(labels, member), resamples, seed, len(labels)):
        yield part[member]


def _commonest(
    labels: npt.NDArray[np.integer], member: npt.NDArray[np.integer]
) -> npt.NDArray[np.integer]:
    """The commonest class of each group, ``[G]``; the first of several."""
    counts = np.zeros((int(member.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(counts, (member, labels), 1)
    return np.asarray(counts.argmax(1))


def _resampled(
    strata: npt.NDArray[np.integer], resamples: int, seed: int, images: int
) -> Iterator[Array]:
    """How often each unit is drawn within its stratum, in parts that suit ``images``."""
    generator = np.random.default_rng(seed)
    order = np.argsort(strata, kind="stable")
    _, first, own, sizes = np.unique(
        strata[order], return_index=True, return_inverse=True, return_counts=True
    )
    count = len(strata)
    width = max(1, _CHUNK // max(images, 1))
    for start in range(0, resamples, width):
        columns = min(width, resamples - start)
        draws = generator.random((count, columns)) * sizes[own][:, None]
        rows = order[draws.astype(np.int64) + first[own][:, None]]
        cells = rows * columns + np.arange(columns)
        counts = np.bincount(cells.ravel(), minlength=count * columns)
        yield counts.reshape(count, columns).astype(np.float64)
