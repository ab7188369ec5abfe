"""Dealing whole groups out to the parts, in nearly the shares that were asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from finetune.data.parts.pool import FREE, Indices, Pool

_TRAIN, _VAL, _TEST = range(3)


@dataclass
class _Dealer:
    """What each part still wants.

    Attributes:
        targets: Images wanted, by part and stratum, ``[3][S]``.
        wants: The same, less those that the parts have.
        contents: For each group its strata and the images in each.
        classes: For each group its classes.
        able: Whether images of a class may leave train, ``[C]``.
        singles: Images of each class that stand alone and have no part yet, ``[C]``.
        taught: How many groups of each class train has; single images are one in all, ``[C]``.
        found: Whether a part has any image, ``[3]``.
        codes: For each group its part.
    """

    targets: list[list[float]]
    wants: list[list[float]]
    contents: list[list[tuple[int, int]]]
    classes: list[list[int]]
    able: list[bool]
    singles: list[int]
    taught: list[int]
    found: list[bool]
    codes: list[int] = field(default_factory=list)

    def deal(self, unit: int) -> None:
        if all(self.taught[c] and self.able[c] for c in self.classes[unit]):
            part = max((_TEST, _VAL, _TRAIN), key=lambda part: self.gain(part, unit))
        else:
            part = _TRAIN
        self.give(unit, part)

    def gain(self, part: int, unit: int) -> float:
        """The fall of the chi-square distance between counts and targets."""
        wants, targets = self.wants[part], self.targets[part]
        return sum(
            count * (2 * wants[s] - count) / targets[s] if targets[s] else float("-inf")
            for s, count in self.contents[unit]
        )

    def give(self, unit: int, part: int) -> None:
        self.codes.append(part)
        self.found[part] = True
        for stratum, count in self.contents[unit]:
            self.wants[part][stratum] -= count
        if part == _TRAIN:
            for c in self.classes[unit]:
                self.taught[c] += 1

    def fill(self) -> None:
        """Give parts without an image one that train can spare, where no single image can."""
        wanting = [p for p in (_TEST, _VAL) if any(self.targets[p]) and not self.found[p]]
        for part in wanting[self.spare_singles() :]:
            self.spare(part)

    def spare_singles(self) -> int:
        """How many single images may leave train."""
        each = zip(self.able, self.singles, self.taught, strict=True)
        return sum(count - (taught == 1) for able, count, taught in each if able and count)

    def spare(self, part: int) -> None:
        """Give ``part`` the smallest group that train can spare."""
        for unit in reversed(range(len(self.codes))):
            classes = self.classes[unit]
            spare = all(self.taught[c] > 1 and self.able[c] for c in classes)
            if self.codes[unit] == _TRAIN and spare:
                for c in classes:
                    self.taught[c] -= 1
                self.codes[unit] = part
                return


def deal_groups(pool: Pool, shares: tuple[float, float], *, stratify: bool) -> Indices:
    """The pool's codes with those of all groups of two or more free images, ``[N]``.

    Greedy: the largest groups first, each to the part where it lowers the chi-square distance to
    the wanted counts the most; what that leaves wanting is for single images to fill. Train keeps
    an image of each class at least, and all groups of a class that lies in fewer than three units.
    A part that would stay empty gets the smallest group that train can spare.

    Args:
        pool: Of each group, all images are free or none.
        shares: Of val and test.
        stratify: Give every class the same shares; else only the totals count.
    """
    order = np.lexsort((pool.unit_ranks, -pool.unit_sizes))
    order = order[: np.count_nonzero(pool.unit_sizes > 1)]
    if not len(order):
        return pool.codes
    turns = np.full(len(pool.unit_sizes), FREE)
    turns[order] = np.arange(len(order))
    turns = np.where(pool.free, turns[pool.units], FREE)
    dealer = _dealer(pool, turns, shares, stratify=stratify)
    for unit in range(len(order)):
        dealer.deal(unit)
    dealer.fill()
    return np.where(turns == FREE, pool.codes, np.array(dealer.codes, np.int64)[turns])


def _dealer(pool: Pool, turns: Indices, shares: tuple[float, float], *, stratify: bool) -> _Dealer:
    """The dealer before the first turn; ``turns`` are those of the images' groups, ``[N]``."""
    strata = pool.labels if stratify else np.zeros_like(pool.labels)
    sizes = np.bincount(strata)
    targets = np.array([1 - sum(shares), *shares])[:, None] * sizes
    parts = [pool.codes == part for part in (_TRAIN, _VAL, _TEST)]
    has = [np.bincount(strata[which], minlength=len(sizes)) for which in parts]
    contents = _table(turns, strata)
    by_class = contents if stratify else _table(turns, pool.labels)
    singles = pool.count(pool.single)
    return _Dealer(
        targets.tolist(),
        (targets - has).tolist(),
        contents,
        [[label for label, _ in row] for row in by_class],
        pool.able.tolist(),
        singles.tolist(),
        (pool.count(parts[_TRAIN]) + np.minimum(singles, 1)).tolist(),
        [bool(which.any()) for which in parts],
    )


def _table(turns: Indices, strata: Indices) -> list[list[tuple[int, int]]]:
    """For each group the strata it has images in, with their number."""
    width = int(strata.max()) + 1
    dealt = turns != FREE
    cells, counts = np.unique(turns[dealt] * width + strata[dealt], return_counts=True)
    table: list[list[tuple[int, int]]] = [[] for _ in range(int(turns.max()) + 1)]
    for cell, number in zip(cells.tolist(), counts.tolist(), strict=True):
        table[cell // width].append((cell % width, number))
    return table
