"""Nested parts of the training images, for a learning curve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from finetune.data.manifest import Item
from finetune.data.randomness import Purpose, derived_seed, sample_key, scrambled
from finetune.errors import DataError
from finetune.text import plural

_POINTS = 6
_FIRST, _FIRST_OF_FEW, _FEW = 5, 2, 25


def automatic_sizes(items: Sequence[Item]) -> list[int]:
    """Six sizes, each the same factor above the last: from 5 images a class to all of them.

    From 2 where the largest class has fewer than 25.
    """
    largest = max(_counts(items).values())
    first = min(largest, _FIRST if largest >= _FEW else _FIRST_OF_FEW)
    return sorted({round(size) for size in np.geomspace(first, largest, _POINTS)})


def checked_sizes(sizes: Sequence[int], items: Sequence[Item]) -> list[int]:
    """``sizes``, rising, without repetition; one beyond the largest class means all images.

    Raises:
        DataError: One is below 2, or fewer than two are left.
    """
    largest = max(_counts(items).values())
    kept = sorted({min(size, largest) for size in sizes})
    if not kept or kept[0] < 2 or len(kept) < 2:
        raise DataError(
            f"no curve goes through {plural(len(kept), 'size')} of {kept[:1] or 0} images a class"
            if len(kept) < 2
            else f"a size of {kept[0]} is too small to learn from",
            where="--sizes",
            mend=f"Give two sizes or more, from 2 to {largest} images a class; or auto.",
        )
    return kept


def nested_subset(items: Sequence[Item], size: int, seed: int, repeat: int) -> list[Item]:
    """``size`` images of each class, or all of a smaller one, in the order of ``items``.

    With the same seed and repeat the subset of a smaller size lies in that of a larger one. It is a
    function of the images' paths.
    """
    keys = np.fromiter((sample_key(item.path) for item in items), np.uint64, len(items))
    ranks = scrambled(keys, derived_seed(seed, Purpose.SUBSETS, repeat))
    places: dict[str, list[int]] = defaultdict(list)
    for place in np.argsort(ranks, kind="stable").tolist():
        places[items[place].label].append(place)
    chosen = sorted(place for own in places.values() for place in own[:size])
    return [items[place] for place in chosen]


def _counts(items: Sequence[Item]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for item in items:
        counts[item.label] += 1
    return counts
