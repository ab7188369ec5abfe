"""One process at a time: a lock that vanishes with the process that holds it."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune.errors import RunError

if sys.platform != "win32":  # where there is nothing of the kind
    import fcntl

_HELD: set[Path] = set()
"""What this very process holds: the system's locks are between processes."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, which goes again at the end.

    The system frees the lock of a process that ended in any way, so that none is ever stale; forked
    processes don't inherit it. Where a file system has no locks, and on Windows, nothing is held.

    Raises:
        RunError: Another process holds it, or this one already.
    """
    if sys.platform == "win32":
        yield
        return
    place = path.resolve()
    if place in _HELD:
        raise _busy(path, "this very process")
    handle = _opened(path)
    _HELD.add(place)
    try:
        yield
    finally:
        _HELD.discard(place)
        path.unlink(missing_ok=True)
        os.close(handle)


def _opened(path: Path) -> int:
    """The lock file, held."""
    while True:
        handle = _handle(path)
        try:
            _take(handle, path)
        except BaseException:
            os.close(handle)
            raise
        if _is_still(handle, path):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return handle
        os.close(handle)  # its last holder removed it between our opening and our taking it


def _handle(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunError(f"can't be written to: {error.strerror}", where=str(path.parent)) from error


def _take(handle: int, path: Path) -> None:
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise _busy(path, os.read(handle, 300).decode("utf-8", "replace")) from None
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise


def _is_still(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _busy(path: Path, holder: str) -> RunError:
    return RunError(
        f"{holder or 'another process'} is at work in it",
        where=str(path.parent),
        mend="Wait for its end, or end it first. A training of its own wants another --out.",
    )
