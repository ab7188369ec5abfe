"""Single images fill up what the parts are wanting, exactly where they are enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.data.manifest import PARTS
from finetune.data.parts.pool import FEWEST, Flags, Indices, Keys, Pool

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


@dataclass(frozen=True)
class _Wanted:
    """What a part is to hold in all, and what it has of each class, ``[C]``."""

    total: int
    has: Indices

    def of_classes(self, weights: Indices, most: Indices) -> npt.NDArray[np.float64]:
        """What it lacks of each class, ``[C]``: its share by ``weights``, ``most`` at most.

        What a class has too many of, or no single images for, is not made up for by others.
        """
        quotas = self.total * weights / max(1, int(weights.sum()))
        return np.asarray(np.clip(quotas - self.has, 0, most))

    def in_all(self, lacks: float) -> int:
        """How many single images it gets; at least one, where it has none and wants some."""
        return max(int(lacks + 0.5), int(self.total > 0 and not self.has.any()))


def fill_singles(pool: Pool, shares: Shares, *, stratify: bool) -> Indices:
    """The pool's codes with those of all images, ``[N]``; free ones are taken as standing alone.

    Args:
        pool: What groups are in it have their parts.
        shares: Of all N.
        stratify: Give every class the same shares, as far as its groups and images allow; else
            only the totals count.
    """
    places = np.flatnonzero(pool.free)
    labels, ranks = pool.labels[places], pool.ranks[places]
    free = np.bincount(labels, minlength=len(pool.sizes))
    untaught = pool.count(pool.codes == _TRAIN) == 0
    room = np.where(pool.able, np.maximum(free - untaught, 0), 0)
    order = _places_in_class(labels, ranks, free)
    val, test = (_Wanted(n, pool.count(pool.codes == part)) for n, part in _totals(pool, shares))
    codes = pool.codes.copy()
    if stratify:
        tests, vals = _by_class(pool, val, test, room)
        codes[places] = np.where(order < (tests + vals)[labels], _VAL, _TRAIN)
        codes[places[order < tests[labels]]] = _TEST
    else:
        codes[places] = _plainly(ranks, order < room[labels], *_in_all(val, test, room))
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
    quotas = np.asarray(total * weights / max(1, int(weights.sum())))
    return _rounded(total, quotas, room, ties)


def _totals(pool: Pool, shares: Shares) -> tuple[tuple[int, int], tuple[int, int]]:
    """Images of val and of test in all, each with its code.

    A class that can't leave train for want of groups asks nothing of the others; those of one or
    two images are so few that the others make up for them.
    """
    held = ~pool.able & (pool.sizes >= FEWEST)
    room = np.where(pool.able, pool.sizes - 1, 0)
    val, test = shares.counts(len(pool.labels) - int(pool.sizes[held].sum()), int(room.sum()))
    return (val, _VAL), (test, _TEST)


def _by_class(pool: Pool, val: _Wanted, test: _Wanted, room: Indices) -> tuple[Indices, Indices]:
    """Single images of each class that go to test and to val, ``[C]`` each."""
    lowest = np.full(len(pool.sizes), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(lowest, pool.labels[pool.free], pool.ranks[pool.free])
    most = np.where(room > 0, room + 1, 0)  # the one that must stay: another class makes up for it
    weights = np.where(pool.able, pool.sizes, 0)
    lacks = test.of_classes(weights, most)
    count = min(test.in_all(lacks.sum()), _all_but_one(room, val))
    tests = _rounded(count, lacks, room, lowest)
    weights[pool.sizes - 1 - test.has - tests <= 0] = 0
    lacks = val.of_classes(weights, most)
    count = min(val.in_all(lacks.sum()), int((room - tests).sum()))
    return tests, _rounded(count, lacks, room - tests, ~lowest)


def _in_all(val: _Wanted, test: _Wanted, room: Indices) -> tuple[int, int]:
    """Single images that val and test get where classes don't count."""
    spare = int(room.sum())
    tests = min(test.in_all(max(0, test.total - test.has.sum())), _all_but_one(room, val))
    return min(val.in_all(max(0, val.total - val.has.sum())), spare - tests), tests


def _all_but_one(room: Indices, val: _Wanted) -> int:
    """The room that is for test: val wants one image, too."""
    spare = int(room.sum())
    return spare - (val.total > 0 and spare > 1)


def _rounded(total: int, quotas: npt.NDArray[np.float64], room: Indices, ties: Keys) -> Indices:
    """Whole numbers near ``quotas`` that sum up to ``total``, by largest remainder, ``[C]``."""
    counts = np.minimum(np.floor(quotas).astype(np.int64), room)
    while (left := total - int(counts.sum())) > 0:
        order = np.lexsort((ties, -(quotas - counts)))
        able = order[counts[order] < room[order]]
        counts[able[:left]] += 1
    return counts


def _plainly(ranks: Keys, free: Flags, val: int, test: int) -> Indices:
    order = np.argsort(ranks, kind="stable")
    order = order[free[order]]
    codes = np.full(len(ranks), _TRAIN)
    codes[order[:test]] = _TEST
    codes[order[test : test + val]] = _VAL
    return codes


def _places_in_class(labels: Indices, ranks: Keys, sizes: Indices) -> Indices:
    order = np.lexsort((ranks, labels))
    starts = np.cumsum(sizes) - sizes
    places = np.empty(len(labels), np.int64)
    places[order] = np.arange(len(labels)) - starts[labels[order]]
    return places


def _count(share: float, total: int) -> int:
    return max(1, int(share * total + 0.5)) if share > 0 else 0
