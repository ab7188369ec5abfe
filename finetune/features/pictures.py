"""Decoded pictures, kept so that each file is decoded once a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from finetune.data.fitting import Pixels
from finetune.features.segments import Row
from finetune.features.store import Shelf, first_places


class KeptPictures:
    """Pictures by position, mapped from the store.

    Args:
        shelf: Where they are.
        keys: Each picture's key there, by position.
    """

    def __init__(self, shelf: Shelf, keys: Sequence[str]) -> None:
        self._shelf, self._keys = shelf, keys
        self._rows: dict[str, Row] = shelf.read(list(first_places(keys)))

    @property
    def complete(self) -> bool:
        """Whether all are there."""
        return all(key in self._rows for key in self._keys)

    def __call__(self, position: int) -> Pixels | None:
        """A copy of the picture ``[H, W, 3]``; None where it is not kept."""
        row = self._rows.get(self._keys[position])
        return None if row is None else np.array(row, dtype=np.uint8)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker that starts anew maps them by itself."""
        return type(self), (self._shelf, self._keys)


def keep_pictures(
    shelf: Shelf, keys: Sequence[str], decode: Callable[[list[int]], Iterable[list[Pixels]]]
) -> KeptPictures | None:
    """The pictures of ``keys``, those that lack decoded now; None where the store has no room.

    Args:
        shelf: Where they are or will be.
        keys: Each picture's, by position.
        decode: Gives the pictures at some positions, in order, some at a time.
    """
    kept = KeptPictures(shelf, keys)
    place = first_places(keys)
    missing = [key for key in place if kept(place[key]) is None]
    if not missing:
        return kept
    _write(shelf, missing, iter(decode([place[key] for key in missing])))
    kept = KeptPictures(shelf, keys)
    return kept if kept.complete else None


def _write(shelf: Shelf, keys: list[str], pictures: Any) -> None:
    first = next(pictures)
    # Files don't say how large their pictures will be: the first ones stand for all.
    expected = sum(picture.nbytes for picture in first) / len(first) * len(keys)
    with shelf.writing(len(keys), int(expected)) as writer:
        if writer is None:
            return
        for key, picture in zip(keys, chain.from_iterable(chain([first], pictures)), strict=True):
            writer.put(key, picture)
