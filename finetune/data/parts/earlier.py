"""The parts of an earlier division: a run's ``data.csv``, or a CSV of one's own."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finetune.data.manifest import COLUMNS, part_named
from finetune.data.sources.indexing import printable_path
from finetune.errors import DataError
from finetune.run import RunDirectory
from finetune.text import from_cell, listed, plural, printable

_SHOWN = 8
_MEND = "data.splits takes a run directory, or a CSV file with the columns path and split."


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of an earlier division.

    Attributes:
        line: Of the file.
        path: As the file gives it.
        part: ``train``, ``val`` or ``test``.
        digest: SHA-256 in hex, where the file gives it.
    """

    line: int
    path: str
    part: str
    digest: str = ""


def splits_file(named: str) -> Path:
    """The file that ``data.splits`` means: of a run directory its ``data.csv``."""
    path = Path(named)
    return RunDirectory(path).data if path.is_dir() else path


def read_splits(file: Path) -> list[Entry]:
    """The images that ``file`` gives a part to, one entry a path.

    Rows of a run that were ``bad`` or ``dropped`` then are passed over, and so are rows whose
    split is empty.

    Raises:
        DataError: It is no such file, lacks a column, names an unknown part, or gives two to a
            path; with the lines.
    """
    try:
        # Names that are no UTF-8 come through as they do from the file system.
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            rows = csv.reader(text, strict=True)
            columns = _columns(next(rows, []), file)
            reading = _Reading(columns, file)
            for row in rows:
                reading.take(rows.line_num, row)
    except OSError as error:
        raise _error(file, f"can't be read: {error.strerror}") from error
    except csv.Error as error:
        raise _error(file, f"is no CSV: {error}") from error
    reading.end()
    return list(reading.entries.values())


@dataclass(frozen=True)
class _Columns:
    """Where in a row the cells stand; ``ours``: names are written as `Manifest` writes them."""

    count: int
    path: int
    split: int
    digest: int | None
    status: int | None
    ours: bool


def _columns(header: Sequence[str], file: Path) -> _Columns:
    names = [name.strip() for name in header]
    for name in ("path", "split"):
        if name not in names:
            there = f"there is {listed(names)}" if names else "the file is empty"
            raise _error(file, f"there is no column {name}; {there}")
    places = {name: names.index(name) for name in COLUMNS if name in names}
    return _Columns(
        len(names),
        places["path"],
        places["split"],
        places.get("digest"),
        places.get("status"),
        ours=len(places) == len(COLUMNS),
    )


@dataclass
class _Reading:
    columns: _Columns
    file: Path
    entries: dict[str, Entry] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def take(self, line: int, row: Sequence[str]) -> None:
        if len(row) != self.columns.count:
            if row:
                self.faults.append(f"line {line}: not {plural(self.columns.count, 'cell')}")
            return
        cell = row[self.columns.split].strip()
        part = part_named(cell)
        if not cell or (self._cell(row, self.columns.status) or "ok") != "ok":
            return
        if part is None:
            self.faults.append(f"line {line}: split {printable(cell)!r}; train, val or test")
            return
        path = row[self.columns.path]
        path = from_cell(path) if self.columns.ours else path
        self._add(Entry(line, path, part, self._cell(row, self.columns.digest)))

    def _cell(self, row: Sequence[str], place: int | None) -> str:
        return "" if place is None else row[place]

    def _add(self, entry: Entry) -> None:
        first = self.entries.setdefault(os.path.normpath(entry.path), entry)
        if first.part != entry.part:
            self.faults.append(
                f"line {entry.line}: {printable(entry.path)} is in {entry.part}, and in "
                f"{first.part} in line {first.line}"
            )

    def end(self) -> None:
        more = len(self.faults) - _SHOWN
        rest = [f"and {more:,} more such lines"] if more > 0 else []
        if self.faults:
            raise _error(self.file, "\n".join([*self.faults[:_SHOWN], *rest]))


def _error(file: Path, found: str) -> DataError:
    return DataError(found, where=printable_path(file), mend=_MEND)
