"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PART = ".part"
"""How the names of temporary files and folders end; they begin with a dot."""

_NEXT_TO_NOTHING = 2**20
_SURROGATE = re.compile("[\ud800-\udfff]")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; it takes ``path``'s place at the end.

    If the body raises, the temporary file goes and ``path`` stays as it was. The data reach
    the disk before the name changes, so that a power cut leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_told(path):
            yield temporary
        reach_disk(temporary)
        as_usual(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Where a library fails to write for want of space, say that: each has an error of its own.

    Raises:
        OSError: With ``ENOSPC`` and ``path``, if something failed and the disk is full.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if shutil.disk_usage(path.parent).free > _NEXT_TO_NOTHING:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders that processes left in ``folder`` when killed.

    Nobody may be writing in it.
    """
    for left in list(folder.rglob(f".*{PART}")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def reach_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def as_usual(path: Path) -> None:
    """Give a temporary file or folder the permissions that a plain new one would have."""
    path.chmod((0o777 if path.is_dir() else 0o666) & ~_umask())


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON with two blanks of indent, whole or not at all.

    A byte of a file's or a class's name that is no UTF-8 is a lone surrogate in Python; JSON has
    an escape for it, which `json.load` reads back.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n")


def text_digest(text: str) -> str:
    """SHA-256 of ``text`` as UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of the bytes of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
