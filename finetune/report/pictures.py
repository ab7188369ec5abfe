"""What a page shows of pictures: groups of them in sections, each bounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from finetune.data.manifest import Item

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it is shown.

    Attributes:
        path: Relative to the root of DATA.
        label: Its class.
        part: ``train``, ``val``, ``test``; empty: not said.
        note: What is said of it beside that.
    """

    path: str
    label: str
    part: str
    note: str = ""

    @classmethod
    def of(cls, item: Item, note: str = "") -> Picture:
        """That of ``item``."""
        return cls(item.path, item.label, item.split, note)

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that are shown together.

    Attributes:
        title: What they have in common; may hold a name from the data.
        pictures: Those that are shown.
        total: How many there are.
    """

    title: str
    pictures: Sequence[Picture]
    total: int

    @property
    def left(self) -> int:
        """How many are not shown."""
        return self.total - len(self.pictures)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text.

    Attributes:
        header: Of each column.
        rows: As many cells as the header; the first names the row.
        texts: Columns before the numbers, which stand to the right.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a page: groups of pictures, a table, or lines.

    Attributes:
        anchor: What links to it name.
        title: Its heading.
        meaning: What it means and what to do about it.
        count: How many of what it is about there are; stands in the heading.
        groups: Of pictures.
        table: Of what has no picture.
        lines: Sentences; what follows a line break belongs to the one before.
        entries: How many groups, rows or lines there are, where not all are shown; 0: all are.
    """

    anchor: str
    title: str
    meaning: str
    count: int
    groups: Sequence[Group] = ()
    table: Table | None = None
    lines: Sequence[str] = ()
    entries: int = 0

    @property
    def shown(self) -> int:
        """How many groups, rows or lines are shown."""
        return len(self.table.rows if self.table else self.groups or self.lines)


def evenly(values: Sequence[_T], at_most: int) -> list[_T]:
    """``values``, or so many of them from all over."""
    if len(values) <= at_most:
        return list(values)
    return [values[index * len(values) // at_most] for index in range(at_most)]


def paths_of(sections: Iterable[Section]) -> list[str]:
    """Of all pictures that are shown, each once, in the order of the page."""
    pictures = (p for section in sections for group in section.groups for p in group.pictures)
    return list(dict.fromkeys(picture.path for picture in pictures))
