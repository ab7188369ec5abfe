"""Rows that one run has written at once, and the index that makes them count."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from finetune.files import text_digest, write_json

INDEX = "index.json"
ROWS = "rows.bin"

Row = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Segment:
    """Rows that one run has written at once; their shapes may differ, their type does not."""

    folder: Path

    def used(self) -> float:
        """When it was last read, in seconds since the epoch."""
        with suppress(OSError):
            return (self.folder / INDEX).stat().st_mtime
        return 0.0

    def size(self) -> int:
        """Its bytes."""
        with suppress(OSError):
            return (self.folder / ROWS).stat().st_size
        return 0

    def remove(self) -> None:
        """Throw it away, its index first; who has it open goes on reading."""
        (self.folder / INDEX).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def holds(self, keys: Sequence[str]) -> set[str]:
        """Those of ``keys`` that it claims to hold; their rows are not looked at."""
        try:
            return set(_read_index(self.folder / INDEX)["keys"]).intersection(keys)
        except (OSError, ValueError, KeyError, TypeError):
            return set()

    def read(self, keys: Sequence[str]) -> dict[str, Row]:
        """Those of ``keys`` that it holds, mapped; nothing if it is not as it was written."""
        wanted = set(keys)
        try:
            index = _read_index(self.folder / INDEX)
            mapped = np.memmap(self.folder / ROWS, np.uint8, "r")
            os.utime(self.folder / INDEX)
            return {
                key: _row(mapped, start, entry, index["dtype"])
                for key, start, entry in _entries(index)
                if key in wanted
            }
        except (OSError, ValueError, KeyError, TypeError):
            self.remove()
            return {}


class Writer:
    """Writes the rows of one segment."""

    def __init__(self, folder: Path, file: IO[bytes]) -> None:
        self.folder = folder
        self.file = file
        self.keys: list[str] = []
        self.entries: list[tuple[list[int], int]] = []
        self.dtype = ""
        self.failed = False

    def put(self, key: str, row: Row) -> None:
        """Add a row; a disk that is full ends the segment without a word."""
        if self.failed:
            return
        data = np.ascontiguousarray(row).reshape(-1).view(np.uint8)
        try:
            self.file.write(data.data)
        except OSError:
            self.failed = True
            return
        self.dtype = row.dtype.str
        self.keys.append(key)
        self.entries.append((list(row.shape), zlib.crc32(data.data)))

    def finish(self) -> None:
        """Make the segment count."""
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            _write_index(self.folder / INDEX, self.keys, self.entries, self.dtype)
        except OSError:
            self.failed = True

    def close(self) -> None:
        """Let go of the file; what was not finished is removed."""
        self.file.close()
        if not (self.folder / INDEX).exists():
            shutil.rmtree(self.folder, ignore_errors=True)


def _write_index(
    path: Path, keys: list[str], entries: list[tuple[list[int], int]], dtype: str
) -> None:
    shapes, checksums = [shape for shape, _ in entries], [checksum for _, checksum in entries]
    index = {"keys": keys, "shapes": shapes, "checksums": checksums, "dtype": dtype}
    write_json(path, {"digest": text_digest(json.dumps(index)), "index": index})


def _read_index(path: Path) -> dict[str, Any]:
    written = json.loads(path.read_text(encoding="utf-8"))
    index: dict[str, Any] = written["index"]
    if text_digest(json.dumps(index)) != written["digest"]:
        raise ValueError("the index was altered")
    return index


def _entries(index: dict[str, Any]) -> Iterator[tuple[str, int, tuple[list[int], int]]]:
    """Each row's key, its first byte, and its shape and checksum."""
    start, width = 0, np.dtype(index["dtype"]).itemsize
    for key, shape, checksum in zip(
        index["keys"], index["shapes"], index["checksums"], strict=True
    ):
        yield key, start, (shape, checksum)
        start += int(np.prod(shape, dtype=np.int64)) * width


def _row(
    mapped: npt.NDArray[np.uint8], start: int, entry: tuple[list[int], int], dtype: str
) -> Row:
    shape, checksum = entry
    nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    data = mapped[start : start + nbytes]
    if zlib.crc32(data.data) != checksum:
        raise ValueError("a row was altered")
    return np.asarray(data.view(dtype).reshape(shape))
