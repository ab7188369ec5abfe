"""Pictures that may be near-duplicates, found among many without comparing all with all.

A picture's relief becomes a code of 256 bits: on which side of as many random planes its broad
waves lie (locality-sensitive hashing; Charikar, STOC 2002). Near-duplicates differ in few bits, so
in a list sorted by some of the bits they often stand side by side. There are several such lists,
each sorted by other bits, and only neighbours in a list are compared: n log n work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from finetune.data.copies.crops import Floats

Codes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

_WORDS = 4
_BYTES = 8 * _WORDS
_LISTS = 32
_REACH = 2
"""A place to either side of where a code stands, in so many steps, is looked at."""

FARTHEST = 72
"""Bits. Of pairs whose waves correlate by 0.8, as a picture's and its watermarked copy's, 99 in 100
differ in fewer (0.2 of the bits on average); of photographs of other things, one in thousands."""

MOST = 6
"""Candidates for a picture as each of its crops, the nearest ones: so that a thousand frames
of one scene don't become half a million pairs."""


def codes(waves: Floats) -> Codes:
    """The codes ``[N, 4]`` of vectors ``[N, F]``."""
    sides = waves @ _planes(waves.shape[1]) > 0
    return np.packbits(sides, axis=1).view(np.uint64)


@dataclass(frozen=True)
class _List:
    """A list sorted by four bytes of the codes: those bytes as a number, and whose they are."""

    taken: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint32]
    owners: npt.NDArray[np.int32]


class Neighbours:
    """Codes ``[N, 4]``, to be searched."""

    def __init__(self, known: Codes) -> None:
        self._known = known
        self._lists = [_sorted_list(known, taken) for taken in _choices()]

    def nearest(self, wanted: Codes) -> tuple[Indices, Indices]:
        """Pairs of codes that are near: places in ``wanted``, and places among the known.

        At most `MOST` for each of ``wanted``, and none farther than `FARTHEST` bits. Which of
        those that are as near is chance, but always the same.
        """
        found = np.concatenate([self._beside(wanted, one) for one in self._lists], axis=1)
        found.sort(axis=1)
        bits = self._bits(wanted, found)
        bits[:, 1:][found[:, 1:] == found[:, :-1]] = 64 * _WORDS  # met in an earlier list
        best = np.argsort(bits, axis=1, kind="stable")[:, :MOST]
        rows, columns = np.nonzero(np.take_along_axis(bits, best, axis=1) <= FARTHEST)
        return rows, found[rows, best[rows, columns]].astype(np.int64)

    def _beside(self, wanted: Codes, one: _List) -> npt.NDArray[np.int32]:
        """Who stands beside each in a list, ``[N, 2 * _REACH]``."""
        place = np.searchsorted(one.keys, _key(wanted, one.taken))
        places = place[:, None] + np.arange(-_REACH, _REACH)
        beside: npt.NDArray[np.int32] = one.owners[np.clip(places, 0, len(one.owners) - 1)]
        return beside

    def _bits(self, wanted: Codes, found: npt.NDArray[np.int32]) -> Indices:
        different = np.zeros(found.shape, np.int64)
        for word in range(_WORDS):
            other = self._known[:, word][found] ^ wanted[:, word, None]
            different += np.bitwise_count(other)
        return different


def _sorted_list(known: Codes, taken: npt.NDArray[np.int64]) -> _List:
    keys = _key(known, taken)
    owners = np.argsort(keys, kind="stable")
    return _List(taken, keys[owners], owners.astype(np.int32))


def _key(known: Codes, taken: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    picked = np.ascontiguousarray(known.view(np.uint8)[:, taken])
    return picked.view(">u4")[:, 0].astype(np.uint32)


@cache
def _planes(dimensions: int) -> Floats:
    generator = np.random.default_rng(0)
    return generator.standard_normal((dimensions, 64 * _WORDS)).astype(np.float32)


@cache
def _choices() -> npt.NDArray[np.int64]:
    """The bytes that each list is sorted by, ``[_LISTS, 4]``; all bytes are used alike."""
    generator = np.random.default_rng(0)
    rounds = [generator.permutation(_BYTES).reshape(-1, 4) for _ in range(_LISTS * 4 // _BYTES)]
    return np.concatenate(rounds)
