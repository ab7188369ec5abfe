"""Reading many bytes: how far it is, and their digest."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from finetune.console import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from finetune.console import Reporter, Task

_MIB = 2**20
_CHUNK = 4 * _MIB
_SLOW = 256 * _MIB
"""Bytes that take about a second to read: a bar is shown from here on."""


@dataclass
class BytesDone:
    """Tells a task of ``total`` MiB how many are done."""

    task: Task
    total: int
    told: int = 0

    def reach(self, done: int) -> None:
        """``done`` bytes are done, all in all."""
        now = min(done // _MIB, self.total)
        if now > self.told:
            self.task.advance(now - self.told)
            self.told = now


@contextmanager
def bytes_shown(title: str, size: int, reporter: Reporter) -> Iterator[BytesDone]:
    """Show how far work on ``size`` bytes is, where it takes long enough to wait for."""
    total = -(-size // _MIB)
    shown = reporter if size >= _SLOW else Silent()
    with shown.task(title, total, "MiB") as task:
        done = BytesDone(task, total)
        yield done
        done.reach(total * _MIB)


def digest_of(file: IO[bytes], title: str, reporter: Reporter) -> str:
    """SHA-256 in hex of what is left of a file."""
    total, size = hashlib.sha256(), 0
    with bytes_shown(title, os.fstat(file.fileno()).st_size, reporter) as done:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
            size += len(chunk)
            done.reach(size)
    return total.hexdigest()
