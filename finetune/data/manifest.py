"""What is learnt from: one record a file, and where it belongs."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from finetune.errors import DataError
from finetune.files import replacing
from finetune.memory import without_collecting
from finetune.text import from_cell, to_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PARTS = ("train", "val", "test")
"""The three parts, always: learnt from, chosen on, scored once."""

_SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}


def part_named(split: str) -> str | None:
    """The part that a folder or a CSV cell names, in any case; None where it names none."""
    return _SPLIT_NAMES.get(split.casefold())


@dataclass(frozen=True, slots=True)
class Item:
    """One file of DATA.

    Attributes:
        path: Relative to the root with ``/``, or absolute where a CSV gives it so.
        label: Its class by name.
        split: ``train``, ``val``, ``test``; empty before splitting, and for a file that is set
            aside where DATA itself does not say.
        group: What it has in common with others that must stand on its side; empty: nothing.
        digest: SHA-256 of the file's bytes in hex; empty where they couldn't be read.
        status: ``ok``, ``bad`` (can't be read) or ``dropped`` (listed twice, not wanted, or in the
            way of a split).
        reason: Why it is not ``ok``.
        copy_of: An image of an earlier part that shows the same picture, where the split leaks.
    """

    path: str
    label: str
    split: str = ""
    group: str = ""
    digest: str = ""
    status: str = "ok"
    reason: str = ""
    copy_of: str = ""

    def of_part(self, split: str) -> Item:
        """The same image in this part; a third of the time that ``replace`` takes."""
        if split == self.split:
            return self
        return Item(
            self.path,
            self.label,
            split,
            self.group,
            self.digest,
            self.status,
            self.reason,
            self.copy_of,
        )


COLUMNS = tuple(field.name for field in fields(Item))
"""Of a manifest's file."""

_VALUES = attrgetter(*COLUMNS)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most ``count`` of the items, from all over: neighbours are of one class."""
    few = min(count, len(items))
    return [items[place * len(items) // few] for place in range(few)]


@dataclass(frozen=True)
class Manifest:
    """All files of DATA with their classes and parts.

    Attributes:
        root: The folder that paths are relative to.
        classes: Names of the classes, sorted; a label's index is its place here.
        items: One a file, sorted by path; also those that are set aside.
    """

    root: Path
    classes: tuple[str, ...]
    items: tuple[Item, ...]

    @classmethod
    def of(cls, root: Path, items: Iterable[Item]) -> Manifest:
        """The manifest of ``items``; its classes are the labels of those that are ok."""
        ordered = tuple(sorted(items, key=lambda item: item.path))
        classes = tuple(sorted({item.label for item in ordered if item.status == "ok"}))
        return cls(root, classes, ordered)

    def part(self, split: str) -> tuple[Item, ...]:
        """The items of ``train``, ``val`` or ``test`` that are ok, in the manifest's order."""
        return tuple(item for item in self.items if item.split == split and item.status == "ok")

    def file(self, item: Item) -> Path:
        """Where the item's file lies."""
        return self.root / item.path

    def labels(self, items: Sequence[Item]) -> npt.NDArray[np.int64]:
        """Indices into ``classes``, ``[N]``.

        Raises:
            KeyError: A label is none of the classes.
        """
        return np.fromiter((self._index[item.label] for item in items), np.int64, len(items))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.classes)}

    def digest(self) -> str:
        """SHA-256 in hex over all that is known of every item but its status."""
        total = hashlib.sha256()
        for item in self.items:
            for value in (item.path, item.label, item.split, item.group, item.digest, item.copy_of):
                encoded = value.encode("utf-8", "surrogatepass")
                total.update(b"%d:%s" % (len(encoded), encoded))
        return total.hexdigest()

    def write_csv(self, path: Path) -> None:
        """Write a row an item, whole or not at all; `read_manifest` reads it back unchanged."""
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([to_cell(value) for value in _VALUES(item)] for item in self.items)


@without_collecting()
def read_manifest(path: Path, root: Path) -> Manifest:
    """The manifest that `Manifest.write_csv` wrote to ``path``, for files below ``root``.

    Raises:
        DataError: The file is missing or is no manifest.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = tuple(next(rows, ()))
            items = [Item(*(from_cell(cell) for cell in row)) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, TypeError) as error:
        raise DataError(f"no list of images can be read here: {error}", where=str(path)) from error
    if header != COLUMNS:
        raise DataError(
            f"the columns are {', '.join(header)}",
            where=str(path),
            mend=f"A list of images has {', '.join(COLUMNS)}.",
        )
    return Manifest.of(root, items)
