"""Images that a pretrained network takes for nearly the same: more than pixels can show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

ALIKE = 0.9
"""Cosine of two images' features, less the mean of all, from which a pair is told. Crops of half a
picture and other frames of one scene reach it; pictures of two things of a kind seldom do."""

_AT_ONCE = 2_048


def alike(
    features: npt.NDArray[np.float32], known: Sequence[Sequence[int]], least: float = ALIKE
) -> list[tuple[int, int, float]]:
    """Each image with its nearest, where they are that near: positions and cosine, nearest first.

    Args:
        features: What comes before the classifier, ``[N, D]``.
        known: Positions that are known to show the same picture: pairs of them are left out.
        least: Cosine from which a pair counts.
    """
    if len(features) < 2:
        return []
    centred = features - features.mean(0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    same = np.arange(len(features))
    for cluster in known:
        same[list(cluster)] = min(cluster)
    best, cosines = _nearest(centred, same)
    pairs = {
        (min(one, other), max(one, other)): float(cosine)
        for one, (other, cosine) in enumerate(zip(best.tolist(), cosines, strict=True))
        if cosine >= least
    }
    found = [(one, other, cosine) for (one, other), cosine in pairs.items()]
    return sorted(found, key=lambda pair: (-pair[2], pair[:2]))


def _nearest(
    rows: npt.NDArray[np.float32], same: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each row the nearest that isn't the ``same``, ``[N]``, and the cosine with it."""
    best = np.empty(len(rows), np.int64)
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        products = rows[block] @ rows.T
        products[same[block, None] == same[None, :]] = -1.0
        best[block] = products.argmax(1)
        cosines[block] = products.max(1)
    return best, cosines
