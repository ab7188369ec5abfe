"""Intervals by resampling images within their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from finetune.evaluation.intervals import UNDEFINED, Score

Array = npt.NDArray[np.float64]

Statistics = Callable[[Array], Array]
"""From how often each image counts in B samples, ``[N, B]``, to S scores of each, ``[S, B]``."""

_CHUNK = 2_000_000


def resample(labels: npt.NDArray[np.integer], resamples: int, seed: int) -> Iterator[Array]:
    """How often each image counts in each resampling, in parts ``[N, B]`` of bounded size.

    Images are drawn with replacement within each class, so that every class keeps its size (a
    stratified bootstrap; Davison and Hinkley 1997, section 3.2) and no score becomes undefined.

    Args:
        labels: Class indices ``[N]``.
        resamples: How many resamplings all parts have together.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    order = np.argsort(labels, kind="stable")
    _, first, own, sizes = np.unique(
        labels[order], return_index=True, return_inverse=True, return_counts=True
    )
    count = len(labels)
    width = max(1, _CHUNK // max(count, 1))
    for start in range(0, resamples, width):
        columns = min(width, resamples - start)
        drawn = generator.random((count, columns)) * sizes[own][:, None]
        rows = order[drawn.astype(np.int64) + first[own][:, None]]
        cells = rows * columns + np.arange(columns)
        counts = np.bincount(cells.ravel(), minlength=count * columns)
        yield counts.reshape(count, columns).astype(np.float64)


def intervals(
    values: Array,
    statistics: Statistics,
    labels: npt.NDArray[np.integer],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> list[Score]:
    """Percentile intervals (Efron 1979) around scores of the images as they are.

    An interval is widened to hold its value where the resamplings all lie to one side of it, as
    they can for a biased score such as the calibration error.

    Args:
        values: The scores ``[S]``; not a number where one is undefined.
        statistics: Gives the scores of resamplings.
        labels: Class indices ``[N]``.
        confidence: Coverage of the intervals.
        resamples: Resamplings.
        seed: Of the draws.
    """
    if not len(labels):
        return [UNDEFINED] * len(values)
    drawn = np.concatenate([statistics(part) for part in resample(labels, resamples, seed)], axis=1)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return [
        Score(float(value), float(min(a, value)), float(max(b, value)))
        if np.isfinite(value)
        else UNDEFINED
        for value, a, b in zip(values, low, high, strict=True)
    ]
