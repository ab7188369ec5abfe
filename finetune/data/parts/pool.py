"""What is divided into parts: images with their classes and groups, some with a part already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finetune.data.manifest import PARTS, Item
from finetune.data.randomness import sample_key, scrambled

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]

FEWEST = 3
"""A class of fewer images, or fewer groups, stays in train whole."""

FREE = -1
"""The code of an image that has no part yet, beside the places in `PARTS`."""


@dataclass(frozen=True)
class Pool:
    """What is divided. An image that stands alone is a unit of its own.

    Attributes:
        labels: Class indices, ``[N]``.
        units: Indices of the groups, ``[N]``.
        ranks: Of the images, numbers in no order, ``[N]``.
        unit_ranks: Of the units, ``[U]``.
        codes: Places in ``PARTS``, or `FREE`, ``[N]``.
    """

    labels: Indices
    units: Indices
    ranks: Keys
    unit_ranks: Keys
    codes: Indices

    @classmethod
    def of(cls, items: Sequence[Item], seed: int, fixed: Sequence[str]) -> Pool:
        """The pool of ``items``, whose parts are ``fixed`` (empty: free), ``[N]``.

        A free image is given the part that its group has; that of the first, if it has several.
        """
        names = {label: index for index, label in enumerate(sorted({i.label for i in items}))}
        labels = np.fromiter((names[item.label] for item in items), np.int64, len(items))
        paths = np.fromiter((sample_key(item.path) for item in items), np.uint64, len(items))
        units, groups = _units(items)
        places = {"": FREE} | {part: place for place, part in enumerate(PARTS)}
        codes = np.fromiter((places[part] for part in fixed), np.int64, len(items))
        ranks = scrambled(paths, seed), scrambled(groups, seed)
        return cls(labels, units, *ranks, _followed(codes, units, len(groups)))

    @classmethod
    def of_singles(cls, labels: Indices, ranks: Keys) -> Pool:
        """The pool of free images that all stand alone."""
        return cls(labels, np.arange(len(labels)), ranks, ranks, np.full(len(labels), FREE))

    def given(self, codes: Indices) -> Pool:
        """The same images with other codes."""
        return replace(self, codes=codes)

    @cached_property
    def sizes(self) -> Indices:
        """Images of each class, ``[C]``."""
        return np.bincount(self.labels)

    @cached_property
    def able(self) -> Flags:
        """Whether images of a class may leave train: it lies in `FEWEST` units, ``[C]``."""
        width = len(self.sizes)
        pairs = np.unique(self.units * width + self.labels)
        return np.asarray(np.bincount(pairs % width, minlength=width) >= FEWEST)

    @cached_property
    def unit_sizes(self) -> Indices:
        """Free images of each unit, ``[U]``."""
        return np.bincount(self.units[self.free], minlength=len(self.unit_ranks))

    @property
    def free(self) -> Flags:
        """Which images have no part yet, ``[N]``."""
        return np.asarray(self.codes == FREE)

    @cached_property
    def single(self) -> Flags:
        """Which of the free images stand alone, ``[N]``."""
        return np.asarray(self.free & (self.unit_sizes[self.units] == 1))

    def count(self, which: Flags) -> Indices:
        """How many of these images each class has, ``[C]``."""
        return np.bincount(self.labels[which], minlength=len(self.sizes))


def _units(items: Sequence[Item]) -> tuple[Indices, Keys]:
    """For each item the number of its unit, ``[N]``; for each unit its key, ``[U]``."""
    numbers: dict[tuple[bool, str], int] = {}
    units = np.empty(len(items), np.int64)
    for place, item in enumerate(items):
        name = (True, item.group) if item.group else (False, item.path)
        units[place] = numbers.setdefault(name, len(numbers))
    keys = (sample_key(f"group/{name}" if grouped else name) for grouped, name in numbers)
    return units, np.fromiter(keys, np.uint64, len(numbers))


def _followed(codes: Indices, units: Indices, count: int) -> Indices:
    """``codes``, and for free images those of their units, ``[N]``."""
    of_units = np.full(count, FREE)
    np.maximum.at(of_units, units, codes)
    return np.where(codes == FREE, of_units[units], codes)
