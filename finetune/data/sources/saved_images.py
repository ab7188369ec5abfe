"""The images of a saved dataset, laid down as files beside a table of their classes."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from finetune.data.sources.bulk import bytes_shown
from finetune.data.sources.kept import LeftOut
from finetune.errors import DataError, FinetuneError
from finetune.text import byte_size, plural, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from finetune.console import Reporter
    from finetune.data.sources.saved_columns import Columns

TABLE = "images.parquet"
_IN_A_FOLDER = 10_000  # files: a folder with a million is slow to work with
_STARTS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


@dataclass(frozen=True)
class SavedPart:
    """A saved dataset, or a split of one.

    Attributes:
        split: The part of DATA that it is; empty where DATA has none.
        folder: Where it lies.
        files: Its Arrow streams, in order.
        columns: What is read of it.
    """

    split: str
    folder: Path
    files: tuple[Path, ...]
    columns: Columns


@dataclass
class _Table:
    """Cells of the table to be, column by column."""

    path: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)


def lay_down(parts: Sequence[SavedPart], folder: Path, reporter: Reporter) -> LeftOut:
    """Write each image into ``folder`` as a file, byte by byte, and `TABLE` that lists them.

    Raises:
        DataError: A file is damaged, or the disk has no room.
    """
    size = sum(file.stat().st_size for part in parts for file in part.files)
    _check_room(size, folder)
    table, rows = _Table(), 0
    with bytes_shown("Laying the dataset's images down", size, reporter) as done:
        read = 0
        for part in parts:
            for file in part.files:
                for row in _rows(file, part.columns):
                    rows += 1
                    _lay_row(row, rows, part.split, folder, table)
                read += file.stat().st_size
                done.reach(read)
    _write_table(table, folder)
    missing = rows - len(table.path)
    told = f"{plural(missing, 'row')} of the dataset without an image or a class left out"
    return LeftOut(warnings=(told,) if missing else ())


def _check_room(size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            f"its images take {byte_size(size)}, and the disk of the cache has {byte_size(free)}",
            mend="Make room, or name another folder for the cache in FINETUNE_CACHE.",
        )


@dataclass(frozen=True)
class _Row:
    image: memoryview | None
    label: str | None
    group: str


def _rows(file: Path, columns: Columns) -> Iterator[_Row]:
    import pyarrow

    with _damage_told(file), pyarrow.memory_map(str(file)) as source:
        for batch in pyarrow.ipc.open_stream(source):
            batch.validate(full=True)
            yield from _rows_of(batch, columns)


def _rows_of(batch: Any, columns: Columns) -> Iterator[_Row]:
    from pyarrow.compute import struct_field

    images = batch.column(columns.image)
    held, paths = struct_field(images, "bytes"), struct_field(images, "path")
    labels = _labels(batch.column(columns.label).to_pylist(), columns)
    groups = batch.column(columns.group).to_pylist() if columns.group else [""] * len(labels)
    for image, path, label, group in zip(held, paths, labels, groups, strict=True):
        content = image.as_buffer() if image.is_valid else None
        if content is None and path.is_valid:
            raise DataError(
                f"an image is only named, {printable(path.as_py())}, and not held in it",
                mend="Name the folder with the images themselves.",
            )
        yield _Row(None if content is None else memoryview(content), label, group or "")


def _labels(values: Sequence[Any], columns: Columns) -> list[str | None]:
    names = columns.classes
    if names is None:
        return [value or None for value in values]
    strange = sorted({v for v in values if v is not None and not -1 <= v < len(names)})
    if strange:
        raise DataError(f"has the class number {strange[0]}, but names of {len(names)} classes")
    return [None if value is None or value < 0 else names[value] for value in values]


def _lay_row(row: _Row, number: int, split: str, folder: Path, table: _Table) -> None:
    if row.image is None or row.label is None:
        return
    name = f"{number:08d}{_suffix(bytes(row.image[:12]))}"
    place = f"{split or 'images'}/{number // _IN_A_FOLDER:04d}/{name}"
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(row.image)
    table.path.append(place)
    table.label.append(row.label)
    table.split.append(split)
    table.group.append(row.group)


def _suffix(start: bytes) -> str:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for mark, suffix in _STARTS.items() if start.startswith(mark)), "")


def _write_table(table: _Table, folder: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {name: pyarrow.array(cells, "string") for name, cells in vars(table).items()}
    parquet.write_table(pyarrow.table(columns), folder / TABLE)


@contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    try:
        yield
    except FinetuneError:
        raise
    except Exception as error:  # Arrow, and whatever a column of another kind leads to
        detail = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise DataError(f"{printable(file.name)} can't be read: {printable(detail)}") from error
