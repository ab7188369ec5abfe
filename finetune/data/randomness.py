"""Randomness as a function: of a seed and of what it is for, never of what was drawn before.

So the number of workers and an interruption change nothing, and two workers can't emit twins.
"""

from __future__ import annotations

import hashlib
import struct
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Purpose(IntEnum):
    """What a draw is for; two purposes never share their draws. The numbers must not change."""

    SPLIT = 1
    ORDER = 2
    AUGMENT = 3
    SHARED_VIEW = 4
    METADATA = 5
    CLASS_ROUND = 6
    OUTER_FOLDS = 11
    SUBSETS = 12


def sample_key(path: str) -> int:
    """A stable 64-bit number for an image, by its path: the same wherever it stands in a list."""
    encoded = path.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")


def derived_seed(*parts: int) -> int:
    """A 64-bit seed from several numbers, each from 0 to 2**64 - 1, by BLAKE2b."""
    packed = struct.pack(f"<{len(parts)}Q", *parts)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little")


def scrambled(keys: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """Another 64-bit number for each key ``[N]``, one to one; which one depends on ``seed``.

    The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), which is a bijection: sorting by it
    gives a permutation that is a function of the seed and the keys alone, in every version of
    NumPy.
    """
    mixed = keys ^ np.uint64(seed)
    with np.errstate(over="ignore"):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
