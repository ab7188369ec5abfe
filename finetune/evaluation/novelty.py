"""How unlike the training images a picture is, as the network sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finetune.evaluation.clusters import group_numbers

Rows = npt.NDArray[np.floating]

MOST = 2000
"""Training images that are kept to compare with: 8 MB of 2,048 features in float16."""

NEAREST = 2
"""Which nearest training image is measured to. The second told strange pictures best over two sets
of 360 and 1,100 training images, among the first, second, fifth and tenth: the first may be an odd
one, and in small data a far one is of another kind."""

_CHUNK = 4096


def chosen(count: int, seed: int) -> npt.NDArray[np.int64]:
    """Positions of the images that are kept, of ``count``: all, or a seeded choice of `MOST`."""
    if count <= MOST:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MOST, replace=False))


def directions(features: Rows) -> npt.NDArray[np.float16]:
    """Features ``[N, D]`` scaled to length 1; what is kept of training images."""
    rows = features.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float16)


def distances(features: Rows, kept: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    """The cosine distance of images ``[N, D]`` to the second nearest of those ``kept`` ``[M, D]``.

    Distances to nearest neighbours tell strange pictures at least as well as what supposes normal
    distributions (Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors"),
    and take one product of matrices.
    """
    against = kept.astype(np.float32).T
    parts = [
        _to_nearest(directions(features[start : start + _CHUNK]).astype(np.float32) @ against)
        for start in range(0, len(features), _CHUNK)
    ]
    return np.concatenate([np.empty(0), *parts])


def distances_among(
    kept: npt.NDArray[np.float16], groups: Sequence[str] | None = None
) -> npt.NDArray[np.float64]:
    """The same distance of each of those ``kept`` ``[M, D]`` to the others.

    Others of its own group, such as near-duplicates, don't count.
    """
    rows = kept.astype(np.float32)
    numbers = group_numbers(groups)
    own = np.arange(len(rows)) if numbers is None else numbers
    likeness = rows @ rows.T
    likeness[own[:, None] == own] = -np.inf
    found = _to_nearest(likeness)
    return np.asarray(found[np.isfinite(found)])


def distance_limit(held: npt.NDArray[np.float64], share: float) -> float:
    """The distance up to which a picture counts as like the training images.

    It is the ``ceil((n + 1) * share)``-th smallest of ``held`` ``[n]``, so that this share of
    ordinary pictures passes; the largest, where there are fewer images than it takes.
    """
    rank = min(math.ceil(round((len(held) + 1) * share, 9)), len(held))
    return float(np.sort(held)[rank - 1])


def _to_nearest(likeness: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """One less the second largest of each row, or the smallest of fewer."""
    place = max(likeness.shape[1] - NEAREST, 0)
    return 1 - np.partition(likeness, place, axis=1)[:, place].astype(np.float64)
