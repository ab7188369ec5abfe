"""Dividing the images into parts: seeded, stratified, in exact shares; groups stay whole.

The outcome is a function of the seed and of the paths: neither the order in which a file system
lists them nor the number of a class plays a part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from finetune.data.grouping import FEWEST, assign_groups
from finetune.data.manifest import PARTS, Item
from finetune.data.randomness import Purpose, derived_seed, sample_key, scrambled

if TYPE_CHECKING:
    from collections.abc import Sequence

Indices = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_TRAIN, _VAL, _TEST = range(len(PARTS))


@dataclass(frozen=True)
class Shares:
    """What part of the images to carve out of train, each from 0 to below 1; 0: none."""

    val: float
    test: float

    def counts(self, total: int, room: int) -> tuple[int, int]:
        """Images of val and of test: rounded, but one at least, and ``room`` in all at most."""
        test = min(_count(self.test, total), room - (self.val > 0 and room > 1))
        return min(_count(self.val, total), room - test), test


def split(items: Sequence[Item], shares: Shares, *, stratify: bool, seed: int) -> list[str]:
    """The part of each item, ``[N]``.

    Without groups the counts are exact: ``round(share * N)``, divided over the classes by largest
    remainder. Of each class at least one image stays in train; classes of fewer than `FEWEST`
    stay there whole. Groups are dealt out whole, the largest first, each to the part that its
    classes are most wanting in; the counts are then as near as the groups allow.

    Args:
        items: What to divide, in any order.
        shares: Of all ``items``.
        stratify: Give every class the same shares; else only the totals count.
        seed: Of the recipe.
    """
    names = {label: index for index, label in enumerate(sorted({item.label for item in items}))}
    labels = np.fromiter((names[item.label] for item in items), np.int64, len(items))
    seed = derived_seed(seed, Purpose.SPLIT)
    if any(item.group for item in items):
        units, keys = _units(items)
        ranks = scrambled(keys, seed)
        codes = assign_groups(labels, units, ranks, (shares.val, shares.test), stratify=stratify)
    else:
        keys = np.fromiter((sample_key(item.path) for item in items), np.uint64, len(items))
        codes = assign(labels, scrambled(keys, seed), shares, stratify=stratify)
    return [PARTS[code] for code in codes.tolist()]


def assign(labels: Indices, ranks: Keys, shares: Shares, *, stratify: bool) -> Indices:
    """Codes into ``PARTS``, ``[N]``, for images that stand alone.

    Args:
        labels: Class indices, ``[N]``.
        ranks: Numbers in no order, ``[N]``; the lowest go to test, the next to val.
        shares: Of all N.
        stratify: Give every class the same shares.
    """
    sizes = np.bincount(labels)
    room = np.where(sizes >= FEWEST, sizes - 1, 0)
    val, test = shares.counts(len(labels), int(room.sum()))
    places = _places_in_class(labels, ranks, sizes)
    if not stratify:
        return _plainly(ranks, places < room[labels], val, test)
    lowest = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(lowest, labels, ranks)
    tests = allocate(test, sizes, room, lowest)
    vals = allocate(val, sizes, room - tests, ~lowest)
    codes = np.full(len(labels), _TRAIN, np.int64)
    codes[places < (tests + vals)[labels]] = _VAL
    codes[places < tests[labels]] = _TEST
    return codes


def allocate(total: int, sizes: Indices, room: Indices, ties: Keys) -> Indices:
    """How many of ``total`` fall to each class, ``[C]``: by largest remainder.

    Args:
        total: At most ``room.sum()``.
        sizes: Images of each class, ``[C]``; the counts are in proportion to them.
        room: The most that a class can give, ``[C]``.
        ties: Which of equal remainders comes first: the lower, ``[C]``.
    """
    weights = np.where(room > 0, sizes, 0)
    quotas = total * weights / max(1, int(weights.sum()))
    counts = np.minimum(np.floor(quotas).astype(np.int64), room)
    while (left := total - int(counts.sum())) > 0:
        order = np.lexsort((ties, -(quotas - counts)))
        able = order[counts[order] < room[order]]
        counts[able[:left]] += 1
    return counts


def _plainly(ranks: Keys, free: npt.NDArray[np.bool_], val: int, test: int) -> Indices:
    order = np.argsort(ranks, kind="stable")
    order = order[free[order]]
    codes = np.full(len(ranks), _TRAIN, np.int64)
    codes[order[:test]] = _TEST
    codes[order[test : test + val]] = _VAL
    return codes


def _places_in_class(labels: Indices, ranks: Keys, sizes: Indices) -> Indices:
    order = np.lexsort((ranks, labels))
    starts = np.cumsum(sizes) - sizes
    places = np.empty(len(labels), np.int64)
    places[order] = np.arange(len(labels)) - starts[labels[order]]
    return places


def _units(items: Sequence[Item]) -> tuple[Indices, Keys]:
    """For each item the number of its group, ``[N]``; for each group its key, ``[U]``."""
    numbers: dict[tuple[str, str], int] = {}
    keys: list[int] = []
    units = np.empty(len(items), np.int64)
    for place, item in enumerate(items):
        name = ("group", item.group) if item.group else ("path", item.path)
        number = numbers.setdefault(name, len(numbers))
        if number == len(keys):
            keys.append(sample_key("/".join(name)))
        units[place] = number
    return units, np.array(keys, np.uint64)


def _count(share: float, total: int) -> int:
    return max(1, int(share * total + 0.5)) if share > 0 else 0
