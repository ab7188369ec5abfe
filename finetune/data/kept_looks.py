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
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, fields
from pathlib import Path

from finetune.cache import cache_folder, make_private
from finetune.data.fingerprints import FINGERPRINT_VERSION
from finetune.data.looking import LOOK_VERSION, Look

MOST_BYTES = 4 * 2**30
"""Of all files together; those of the data longest unused go first. About 2 KB an image."""

_SETTLED = 2_000_000_000
"""Nanoseconds: a file that changed a moment ago could change again at what its clock calls the
same time (two seconds on FAT)."""

_FIELDS = [field.name for field in fields(Look)]
_COLUMNS = ", ".join(["path", "file_size", "modified", "changed", *_FIELDS])
_PATIENCE = 5.0


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
        if not self._file.exists():
            return {}
        found: dict[str, Look] = {}
        with suppress(sqlite3.Error, OSError), self._opened() as base:
            os.utime(self._file)
            for path, *known in base.execute(f"SELECT {_COLUMNS} FROM looks"):
                state = states.get(os.fsdecode(path))
                if state is not None and tuple(known[:3]) == _times(state):
                    found[os.fsdecode(path)] = Look(*known[3:])
        return found

    def write(self, looks: Mapping[str, Look], states: Mapping[str, os.stat_result]) -> None:
        """Keep ``looks``; ``states`` are of before they were made."""
        now = time.time_ns()
        rows = [
            (os.fsencode(path), *_times(states[path]), *astuple(look))
            for path, look in looks.items()
            if path in states and now - max(_times(states[path])[1:]) > _SETTLED
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

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection; what is written in the body is committed whole. A damaged file goes."""
        try:
            with closing(sqlite3.connect(self._file, timeout=_PATIENCE)) as base, base:
                yield base
        except sqlite3.OperationalError:  # locked, read-only or full: not the file's fault
            raise
        except sqlite3.DatabaseError:
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


def _times(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns
