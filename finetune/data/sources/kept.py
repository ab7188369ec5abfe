"""Folders of the cache that are filled once for a key, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.cache import PLACE, cache_folder, make_private
from finetune.errors import DataError
from finetune.files import PART, write_json
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FILES = "files"
_ABOUT = "about.json"
_ABANDONED = 24 * 3600.0
"""Seconds after which what nobody has finished is nobody's: nothing takes a day to unpack."""


@dataclass(frozen=True)
class LeftOut:
    """What was not taken over when a folder was filled.

    Attributes:
        notes: What a person wants to know about it.
        warnings: What a person should look at.
    """

    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def kept_folder(kind: str, key: str, fill: Callable[[Path], LeftOut]) -> tuple[Path, LeftOut]:
    """The folder for ``key`` in ``cache_folder(kind)``; filled by ``fill`` if it is not there.

    It is filled under another name and appears whole. Of two processes at once both fill one, and
    the quicker one's is taken. Where files have gone since, it is filled again.

    Raises:
        DataError: The cache can't be written to, or what ``fill`` raises; nothing is left then.
    """
    shelf = cache_folder(kind)
    folder = shelf / key
    if (known := _whole(folder)) is not None:
        return folder / _FILES, known
    with _told(shelf):
        make_private(shelf)
        _sweep(shelf)
        temporary = Path(tempfile.mkdtemp(dir=shelf, prefix=f".{key}.", suffix=PART))
        try:
            (temporary / _FILES).mkdir()
            left_out = fill(temporary / _FILES)
            _describe(temporary, left_out)
            _put(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder / _FILES, left_out


@contextmanager
def _told(shelf: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"can't be written to: {printable(error.strerror or str(error))}",
            where=printable(str(shelf)),
            mend=f"{PLACE} names another folder for the cache.",
        ) from error


def _whole(folder: Path) -> LeftOut | None:
    """What was left out of a folder that is as it was filled; None where there is none."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if _measured(folder) == (about["files"], about["bytes"]):
            return LeftOut(tuple(about["notes"]), tuple(about["warnings"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _describe(folder: Path, left_out: LeftOut) -> None:
    files, size = _measured(folder)
    about = {"files": files, "bytes": size, "notes": left_out.notes, "warnings": left_out.warnings}
    write_json(folder / _ABOUT, about)


def _measured(folder: Path) -> tuple[int, int]:
    """How many files a folder was filled with, and their bytes."""
    sizes = [
        os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118 - a million of them
        for parent, _, names in os.walk(folder / _FILES)
        for name in names
    ]
    return len(sizes), sum(sizes)


def _put(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        if _whole(folder) is None:  # somebody has removed a part of it
            _remove(folder)
            temporary.rename(folder)


def _remove(folder: Path) -> None:
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=PART))
    folder.rename(aside / "old")
    shutil.rmtree(aside, ignore_errors=True)


def _sweep(shelf: Path) -> None:
    """Remove what processes that were killed have left."""
    for left in shelf.glob(f".*{PART}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
