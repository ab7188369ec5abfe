"""Rows that one run has written at once, and the index that makes them count."""

from __future__ import annotations

import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        with suppress(OSError):
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
            found = {
                key: _row(mapped, start, entry, index["dtype"])
                for key, start, entry in _entries(index)
                if key in wanted
            }
        except (ValueError, KeyError, TypeError, FileNotFoundError):
            self.remove()
            return {}
        except OSError:  # this process can't read it now; that says nothing of the segment
            return {}
        if found:
            with suppress(OSError):
                os.utime(self.folder / INDEX)
        return found


class NewSegment:
    """A segment that is being written; its rows count once it is finished.

    Args:
        folder: Its folder, which is made.

    Raises:
        OSError: It can't be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.started = time.monotonic()
        # Without a buffer: what a full disk refused would be tried again when the file is closed.
        self._file = (folder / ROWS).open("xb", buffering=0)
        self._keys: list[str] = []
        self._entries: list[tuple[list[int], int]] = []
        self._dtype = ""

    def put(self, rows: Mapping[str, Row]) -> bool:
        """Add all of ``rows``, or none where the disk is full; whether they were added."""
        entries = []
        for row in rows.values():
            data = np.ascontiguousarray(row).reshape(-1).view(np.uint8)
            if not self._write(data.data):
                return False
            self._dtype = row.dtype.str
            entries.append((list(row.shape), zlib.crc32(data.data)))
        self._keys += rows
        self._entries += entries
        return True

    def finish(self) -> None:
        """Make it count, if it has rows and they reach the disk; else remove it."""
        try:
            if self._keys:
                os.fsync(self._file.fileno())
                _write_index(self.folder / INDEX, self._keys, self._entries, self._dtype)
        except OSError:
            self._keys.clear()
        finally:
            self._file.close()
        if not self._keys:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, data: memoryview) -> bool:
        try:
            return self._file.write(data) == data.nbytes
        except OSError:
            return False


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
