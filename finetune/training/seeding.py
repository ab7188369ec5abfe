"""Randomness as a function of where it is drawn, never of what was drawn before."""

from __future__ import annotations

import hashlib


def seed_of(*place: int | str) -> int:
    """A 63-bit seed for a place such as ``(seed, "step", phase, epoch, batch)``.

    Places that differ in any part give unrelated seeds (BLAKE2b of their text).
    """
    text = "\x1f".join(map(str, place)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1
