"""Differences of two ways, image by image, over several seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping

import numpy as np

Pair = tuple[Mapping[str, bool], Mapping[str, bool]]


def differences(pairs: Iterable[tuple[Hashable, Pair]]) -> list[np.ndarray]:
    """For each test image, one way's rightness minus the other's, once for each seed.

    Args:
        pairs: A data set's name, with what the two ways got right of its images, by path.
    """
    found = defaultdict(list)
    for name, (one, other) in pairs:
        for path, right in one.items():
            found[name, path].append(float(right) - float(other[path]))
    return [np.array(values) for values in found.values()]


def interval(images: list[np.ndarray]) -> tuple[float, float, float]:
    """The mean difference in points and its 95 % interval, by a bootstrap over images.

    An image that several seeds score is drawn once, with all its differences.
    """
    sums, counts = np.array([d.sum() for d in images]), np.array([len(d) for d in images])
    drawn = np.random.default_rng(0).integers(0, len(images), (10_000, len(images)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return 100 * sums.sum() / counts.sum(), 100 * low, 100 * high
