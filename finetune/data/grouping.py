"""Dealing whole groups out to the parts, in nearly the shares that were asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

FEWEST = 3
"""A class of fewer images, or fewer groups, stays in train whole."""

_TRAIN, _VAL, _TEST = range(3)


@dataclass
class _Dealer:
    """What each part still wants.

    Attributes:
        targets: Images wanted, by part and stratum, ``[3][S]``.
        contents: For each group its strata and the images in each.
        classes: For each group its classes.
        groups_of: How many groups each class lies in, ``[C]``.
    """

    targets: list[list[float]]
    contents: list[list[tuple[int, int]]]
    classes: list[list[int]]
    groups_of: list[int]
    codes: list[int] = field(init=False)
    wants: list[list[float]] = field(init=False)
    taught: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.codes = [_TRAIN] * len(self.contents)
        self.wants = [list(row) for row in self.targets]
        self.taught = [0] * len(self.groups_of)

    def deal(self, unit: int) -> None:
        classes = self.classes[unit]
        if any(not self.taught[c] or self.groups_of[c] < FEWEST for c in classes):
            part = _TRAIN
        else:
            part = max((_TEST, _VAL, _TRAIN), key=lambda part: self.gain(part, unit))
        self.give(unit, part)

    def gain(self, part: int, unit: int) -> float:
        """The fall of the chi-square distance between counts and targets."""
        wants, targets = self.wants[part], self.targets[part]
        return sum(
            count * (2 * wants[s] - count) / targets[s] if targets[s] else float("-inf")
            for s, count in self.contents[unit]
        )

    def give(self, unit: int, part: int) -> None:
        self.codes[unit] = part
        for stratum, count in self.contents[unit]:
            self.wants[part][stratum] -= count
        if part == _TRAIN:
            for c in self.classes[unit]:
                self.taught[c] += 1

    def fill(self, part: int, order: list[int]) -> None:
        """Give ``part`` the smallest group that train can spare, if it has none."""
        if not any(self.targets[part]) or part in self.codes:
            return
        for unit in reversed(order):
            classes = self.classes[unit]
            spare = all(self.taught[c] > 1 and self.groups_of[c] >= FEWEST for c in classes)
            if self.codes[unit] == _TRAIN and spare:
                for c in classes:
                    self.taught[c] -= 1
                self.codes[unit] = part
                return


def assign_groups(
    labels: Indices,
    units: Indices,
    ranks: npt.NDArray[np.uint64],
    shares: tuple[float, float],
    *,
    stratify: bool,
) -> Indices:
    """Codes of train, val, test (0, 1, 2), ``[N]``; equal for all of a group.

    Greedy: the largest groups first, each to the part where it lowers the chi-square distance to
    the wanted counts the most. The first group of each class goes to train, and so do all groups
    of a class that lies in fewer than three. A part left empty gets the smallest group that train
    can spare.

    Args:
        labels: Class indices, ``[N]``.
        units: Each image's group as an index, ``[N]``.
        ranks: The order of groups of equal size, ``[U]``.
        shares: Of val and test.
        stratify: Give every class the same shares; else only the totals count.
    """
    strata = labels if stratify else np.zeros_like(labels)
    order = np.lexsort((ranks, -np.bincount(units, minlength=len(ranks)))).tolist()
    contents = _table(units, strata, len(ranks))
    by_class = contents if stratify else _table(units, labels, len(ranks))
    classes = [[label for label, _ in row] for row in by_class]
    groups_of = np.bincount([c for row in classes for c in row]).tolist()
    sizes = np.bincount(strata)
    portions = (1 - sum(shares), *shares)
    dealer = _Dealer([(sizes * p).tolist() for p in portions], contents, classes, groups_of)
    for unit in order:
        dealer.deal(unit)
    dealer.fill(_TEST, order)
    dealer.fill(_VAL, order)
    return np.array(dealer.codes, np.int64)[units]


def _table(units: Indices, strata: Indices, count: int) -> list[list[tuple[int, int]]]:
    """For each group the strata it has images in, with their number."""
    width = int(strata.max()) + 1
    cells, counts = np.unique(units * width + strata, return_counts=True)
    table: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for cell, number in zip(cells.tolist(), counts.tolist(), strict=True):
        table[cell // width].append((cell % width, number))
    return table
