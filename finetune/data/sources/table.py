"""DATA as a CSV or Parquet file: a row an image."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from finetune.data.manifest import Item, part_named
from finetune.data.sources.indexing import Listing, printable_path
from finetune.errors import DataError
from finetune.recipe.faults import nearest
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

TABLE_SUFFIXES = (".csv", ".parquet")
_COLUMNS = ("path", "label", "split", "group")
_NEEDED = ("path", "label")
_SHOWN = 8


class _Row(NamedTuple):
    line: int
    path: str
    label: str
    split: str
    group: str


@dataclass(frozen=True)
class _Table:
    header: tuple[str, ...]
    rows: Iterable[tuple[int, Sequence[str]]]


def list_table(data: Path) -> Listing:
    """The images that a CSV or Parquet file lists; its folder is the root.

    Raises:
        DataError: It can't be read, columns are missing, or rows are faulty; all are told.
    """
    table = _opened(data)
    _check_header(table.header, data)
    rows = [_with_slashes(row, data.parent) for row in _rows(table, data)]
    kept, warnings, faults = _without_repetitions(rows, data.parent)
    faults = [*_row_faults(rows), *_split_faults(rows), *faults]
    if faults:
        raise DataError("\n".join(faults), where=printable_path(data), mend="Correct these rows.")
    unused = [name for name in table.header if name not in _COLUMNS and name]
    notes = (f"Columns that are not used: {listed(unused)}.",) if unused else ()
    if not rows:
        raise DataError("it lists no image", where=printable_path(data))
    classes = frozenset(row.label for row in rows)
    return Listing(data.parent, tuple(kept), classes, notes, tuple(warnings))


def columns_of(data: Path) -> tuple[str, ...]:
    """The names of a table's columns, whatever they are.

    Raises:
        DataError: It can't be read.
    """
    return _opened(data).header


def _opened(data: Path) -> _Table:
    return _parquet(data) if data.suffix.lower() == ".parquet" else _csv(data)


def _csv(data: Path) -> _Table:
    try:
        # Names that are no UTF-8 come through as they do from the file system.
        text = data.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}", where=printable_path(data)) from error
    if "\0" in text:
        raise DataError("is no UTF-8 text", where=printable_path(data), mend="Save it as UTF-8.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = tuple(name.strip() for name in next(reader, []))
    except csv.Error as error:
        raise _no_csv(data, error) from error
    return _Table(header, ((reader.line_num, row) for row in reader if row))


def _no_csv(data: Path, error: csv.Error) -> DataError:
    return DataError(f"is no CSV: {error}", where=printable_path(data))


def _parquet(data: Path) -> _Table:
    from pyarrow import parquet

    with _arrow_errors_told(data):
        header = tuple(parquet.read_schema(data).names)
    return _Table(header, _parquet_rows(data, header))


def _parquet_rows(data: Path, header: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    from pyarrow import parquet

    used = [name for name in _COLUMNS if name in header]
    with _arrow_errors_told(data):
        table = parquet.read_table(data, columns=used, partitioning=None)
    columns = [
        [_text(value) for value in table.column(name).to_pylist()]
        if name in used
        else [""] * table.num_rows
        for name in header
    ]
    yield from enumerate(zip(*columns, strict=True), start=1)


def _text(value: object) -> str:
    """A cell as CSV has it; what is missing, be it as null or as no number, is empty there."""
    if value is None or value != value:
        return ""
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


@contextmanager
def _arrow_errors_told(data: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        message = printable(str(error).splitlines()[0])
        raise DataError(f"can't be read: {message}", where=printable_path(data)) from error


def _check_header(header: tuple[str, ...], data: Path) -> None:
    faults = [_missing(name, header) for name in _NEEDED if name not in header]
    for name in ("split", "group"):
        other = [given for given in header if given != name and given.strip().lower() == name]
        faults += [f"column {printable(given)}: write it {name}" for given in other]
    faults += [f"column {name} is there twice" for name in _COLUMNS if header.count(name) > 1]
    if not faults:
        return
    mend = "The first line names the columns: path,label and, if you like, split,group."
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        mend += " They are divided by commas, not by semicolons or tabs."
    raise DataError("\n".join(faults), where=printable_path(data), mend=mend)


def _missing(name: str, header: tuple[str, ...]) -> str:
    close = nearest(name, [given for given in header if given])
    hint = f"; the nearest is {printable(close)}" if close else f"; there is {listed(header)}"
    return f"there is no column {name}{hint if header else '; the file is empty'}"


def _rows(table: _Table, data: Path) -> Iterator[_Row]:
    places = [table.header.index(name) if name in table.header else None for name in _COLUMNS]
    uneven = []
    try:
        for line, cells in table.rows:
            if len(cells) != len(table.header):
                uneven.append(line)
                continue
            yield _Row(line, *("" if at is None else cells[at] for at in places))
    except csv.Error as error:
        raise _no_csv(data, error) from error
    if uneven:
        lines = listed([str(line) for line in uneven])
        raise DataError(
            f"not {plural(len(table.header), 'cell')}, as in the first line: line {lines}",
            where=printable_path(data),
            mend='Put cells that hold a comma or a line break between quotes: "a, b".',
        )


def _with_slashes(row: _Row, root: Path) -> _Row:
    if "\\" not in row.path:
        return row
    with_slashes = row.path.replace("\\", "/")  # a table that was made on Windows
    known = (root / with_slashes).exists() and not (root / row.path).exists()
    return row._replace(path=with_slashes) if known else row


def _row_faults(rows: list[_Row]) -> Iterator[str]:
    for column in _NEEDED:
        lines = [str(row.line) for row in rows if not getattr(row, column).strip()]
        if lines:
            yield f"{column} is empty in {plural(len(lines), 'row')}: {listed(lines)}"
    lines = [str(row.line) for row in rows if "\0" in row.path]
    if lines:
        yield f"path holds a NUL character in {plural(len(lines), 'row')}: {listed(lines)}"


def _split_faults(rows: list[_Row]) -> Iterator[str]:
    counts = Counter(row.split.strip() for row in rows)
    empty = counts.pop("", 0)
    if not counts:
        return
    if empty:
        lines = [str(row.line) for row in rows if not row.split.strip()]
        yield (
            f"split is empty in {plural(empty, 'row')} and filled in others: {listed(lines)}; "
            "fill it everywhere or leave the column out"
        )
    for name, count in sorted(counts.items()):
        if part_named(name) is None:
            yield f"split {printable(name)!r} in {plural(count, 'row')}: train, val or test"
    yield from _ambiguous_splits(counts)
    if not any(part_named(name) == "train" for name in counts):
        yield "no row has the split train: there is nothing to learn from"


def _ambiguous_splits(counts: Counter[str]) -> Iterator[str]:
    spellings = sorted({name.casefold() for name in counts if part_named(name) == "val"})
    if len(spellings) > 1:
        yield f"these splits mean the same part: {listed(spellings)}"


def _without_repetitions(rows: list[_Row], root: Path) -> tuple[list[Item], list[str], list[str]]:
    first: dict[str, _Row] = {}
    items, repeated, faults = [], [], []
    for row in rows:
        item = Item(row.path, row.label, part_named(row.split.strip()) or "", row.group)
        earlier = first.setdefault(os.path.normpath(root / row.path), row)
        if earlier is row:
            items.append(item)
        elif earlier[2:] == row[2:]:
            repeated.append(row.path)
            reason = f"listed twice: lines {earlier.line} and {row.line}"
            items.append(replace(item, split="", status="dropped", reason=reason))
        else:
            faults.append(_contradiction(earlier, row))
    warnings = []
    if repeated:
        count = plural(len(repeated), "row")
        warnings.append(f"{count} left out, as the file is listed before: {listed(repeated)}")
    if len(faults) > _SHOWN:
        faults = [*faults[:_SHOWN], f"and {len(faults) - _SHOWN:,} more such pairs of rows"]
    return items, warnings, faults


def _contradiction(earlier: _Row, later: _Row) -> str:
    what = next(name for name in _COLUMNS[1:] if getattr(earlier, name) != getattr(later, name))
    one, other = (printable(getattr(row, what)) or "nothing" for row in (earlier, later))
    return (
        f"{printable(later.path)} is listed twice, with the {what} {one} in line {earlier.line} "
        f"and {other} in line {later.line}"
    )
