"""Decoded pictures, kept so that each file is decoded once a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from finetune.console import Reporter
from finetune.data.fitting import Pixels
from finetune.features.segments import Row
from finetune.features.store import Shelf, first_places

Decode = Callable[[list[int]], Iterable[list[Pixels]]]

_SAMPLE = 16
_MARGIN = 1.2


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

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __call__(self, position: int) -> Pixels | None:
        """A copy of the picture ``[H, W, 3]``; None where it is not kept."""
        row = self._rows.get(self._keys[position])
        return None if row is None else np.array(row, dtype=np.uint8)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker that starts anew maps them by itself."""
        return type(self), (self._shelf, self._keys)

    def find(self, keys: Sequence[str]) -> None:
        """Map those of ``keys`` that have been written since."""
        self._rows |= self._shelf.read(keys)


def keep_pictures(
    shelf: Shelf, keys: Sequence[str], decode: Decode, reporter: Reporter
) -> KeptPictures | None:
    """The pictures of ``keys``, those that lack decoded now; None where the store has no room.

    Args:
        shelf: Where they are or will be.
        keys: Each picture's, by position.
        decode: Gives the pictures at some positions, in order, some at a time.
        reporter: Is told how far it is.
    """
    kept = KeptPictures(shelf, keys)
    place = first_places(keys)
    missing = [key for key in place if key not in kept]
    if missing:
        _write(shelf, missing, lambda wanted: decode([place[key] for key in wanted]), reporter)
        kept.find(missing)
    return kept if kept.complete else None


def _write(
    shelf: Shelf,
    keys: Sequence[str],
    decode: Callable[[Sequence[str]], Iterable[list[Pixels]]],
    reporter: Reporter,
) -> None:
    # Files don't say how large their pictures will be: some from all over stand for all.
    some = keys[:: -(-len(keys) // _SAMPLE)]
    first = dict(zip(some, chain.from_iterable(decode(some)), strict=True))
    mean = sum(picture.nbytes for picture in first.values()) / len(first)
    rest = [key for key in keys if key not in first]
    with (
        shelf.writing(int(_MARGIN * mean * len(keys))) as writer,
        reporter.task("pictures", len(keys), "images", len(first)) as task,
    ):
        if writer is None:
            return
        writer.put(first)
        names = iter(rest)
        for pictures in decode(rest) if rest else ():
            if writer.failed:
                return
            writer.put(dict(zip(islice(names, len(pictures)), pictures, strict=True)))
            task.advance(len(pictures))
