"""Looks kept from one run to the next, so that files that stayed as they were cost nothing.

One SQLite file for each DATA, by its place. A look counts as long as its file has the same size and
the same times of change, to the nanosecond: the time of the inode too, which a program that puts
old times back can't set. Nothing here is ever worth an error: what can't be read or written is
looked at again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

from finetune.cache import cache_folder, make_private
from finetune.data.copies.fingerprints import FINGERPRINT_VERSION
from finetune.data.files.looking import LOOK_VERSION, Look

MOST_BYTES = 4 * 2**30
"""Of all files together; those of the data longest unused go first. About 2 KB an image."""

_SETTLED = 2_000_000_000
"""Nanoseconds: a file that changed a moment ago could change again at what its clock calls the
same time (two seconds on FAT)."""

_FIELDS = [field.name for field in fields(Look)]
_COLUMNS = ", ".join(["path", "state", "seal", *_FIELDS])
_AT_ONCE = 500  # paths asked for in one question: SQLite may take no more than 999
_PATIENCE = 5.0
_NOT_THE_FILES_FAULT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)

Row = tuple[object, ...]


class KeptLooks:
    """The looks at the files below one folder.

    Args:
        file: An SQLite file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of(cls, root: Path) -> KeptLooks:
        """Those at the files of ``root``."""
        name = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:24]
        version = f"{LOOK_VERSION}.{FINGERPRINT_VERSION}"
        return cls(cache_folder("looks") / f"{name}-{version}.sqlite")

    def read(self, states: Mapping[str, os.stat_result]) -> dict[str, Look]:
        """The looks that still hold, by path.

        Args:
            states: What the file system says of each path now.
        """
        found: dict[str, Look] = {}
        with suppress(sqlite3.Error, OSError):
            for path, state, seal, *known in self._rows(list(states)):
                # A seal that doesn't fit: SQLite notices what became of its pages, not of a value.
                if seal == _seal(path, state, known) and isinstance(path, bytes):
                    name = os.fsdecode(path)
                    if name in states and state == _state(states[name]):
                        found[name] = _look(known)
        return found

    def write(self, looks: Mapping[str, Look], states: Mapping[str, os.stat_result]) -> None:
        """Keep ``looks``; ``states`` are of before they were made."""
        now = time.time_ns()
        rows = [
            _row(path, states[path], look)
            for path, look in looks.items()
            if path in states and now - _last_change(states[path]) > _SETTLED
        ]
        if not rows:
            return
        places = ", ".join("?" * len(rows[0]))
        with suppress(sqlite3.Error, OSError):
            make_private(self._file.parent)
            with self._opened() as base:
                base.execute(f"CREATE TABLE IF NOT EXISTS looks ({_COLUMNS}, PRIMARY KEY (path))")
                base.executemany(f"INSERT OR REPLACE INTO looks VALUES ({places})", rows)
            self._make_room()

    def _rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        if not self._file.exists() or not self._file.stat().st_size:
            return
        with suppress(OSError):  # a cache that may only be read is still one
            os.utime(self._file)
        with self._opened() as base:
            for start in range(0, len(wanted), _AT_ONCE):
                paths = [os.fsencode(path) for path in wanted[start : start + _AT_ONCE]]
                places = ", ".join("?" * len(paths))
                yield from base.execute(
                    f"SELECT {_COLUMNS} FROM looks WHERE path IN ({places})", paths
                )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection; what is written in the body is committed whole. A damaged file goes."""
        try:
            with closing(sqlite3.connect(self._file, timeout=_PATIENCE)) as base, base:
                yield base
        except sqlite3.Error as error:
            # The lower byte tells the kind.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NOT_THE_FILES_FAULT:
                self._file.unlink(missing_ok=True)
            raise

    def _make_room(self) -> None:
        files = sorted(self._file.parent.glob("*.sqlite"), key=lambda file: file.stat().st_mtime)
        total = sum(file.stat().st_size for file in files)
        for file in files:
            if total <= MOST_BYTES or file == self._file:
                return
            total -= file.stat().st_size
            file.unlink()


def _row(path: str, state: os.stat_result, look: Look) -> Row:
    name, told, values = os.fsencode(path), _state(state), astuple(look)
    return name, told, _seal(name, told, values), *values


def _look(values: Sequence[Any]) -> Look:
    look = Look(*values)
    return replace(look, animated=bool(look.animated))  # SQLite has numbers only


def _seal(path: object, state: object, values: Sequence[object]) -> int:
    plain = [int(value) if isinstance(value, bool) else value for value in values]
    return zlib.crc32(repr((path, state, plain)).encode("utf-8", "surrogatepass"))


def _state(state: os.stat_result) -> str:
    # As text: a time in a far century is no number that SQLite knows.
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def _last_change(state: os.stat_result) -> int:
    return max(state.st_mtime_ns, state.st_ctime_ns)
