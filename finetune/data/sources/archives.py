"""Archives of images: what in them may be unpacked, and to where. Nothing here touches a file."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from finetune.data.files.decoding import SUFFIXES
from finetune.data.sources.indexing import is_clutter
from finetune.data.sources.table import TABLE_SUFFIXES
from finetune.errors import DataError
from finetune.text import byte_size, printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ZIP_SUFFIXES = (".zip",)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""How names of archives end, in lower case; how a tar is compressed, its content decides."""

MOST_ENTRIES = 5_000_000
"""Files and folders of an archive: four times ImageNet's 1.3 million. The names alone take
gigabytes of memory beyond, and a file system runs out of files before it runs out of bytes."""

MOST_RATIO = 200
"""Bytes unpacked for each byte packed. Photographs hardly shrink and uncompressed drawings to a
hundredth; bombs begin where deflate ends, at 1,032."""

FREE_OF_RATIO = 100 * 2**20
"""Bytes unpacked up to which the ratio is not asked: so few harm nobody."""

MOST_FOLDERS_DEEP = 32
"""Folders above a file: a name of 4,000 letters could else make 2,000 of them."""

MOST_NAME_BYTES = (255, 2_000)
"""Of a part of a path, and of the whole: what file systems take, with the cache's own path."""

TWICE = "falls on the same file as another"
_DRIVE = re.compile(r"[A-Za-z]:")
_MEND = "Nothing was unpacked. If you trust it, unpack it by other means and name the folder."


@dataclass(frozen=True)
class Entry:
    """What an archive says of one thing in it; any of it may be a lie.

    Attributes:
        name: As the archive has it.
        kind: ``file``, ``folder``, or in words what it is instead.
        size: Bytes when unpacked.
        at: Bytes of the archive that lie before it, about.
        fault: Why it can't be unpacked, as the end of a sentence; empty: it can.
    """

    name: str
    kind: str
    size: int = 0
    at: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Span:
    """Where the bytes of an entry lie in an archive: from ``start`` to right before ``end``."""

    name: str
    start: int
    end: int


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name."""
    return path.name.lower().endswith(ZIP_SUFFIXES + TAR_SUFFIXES)


def refusal(name: str, fault: str) -> DataError:
    """The error that tells of an entry why the archive is not unpacked."""
    return DataError(f"its entry {printable(name)} {fault}", mend=_MEND)


def check_apart(spans: Iterable[Span]) -> None:
    """See to it that no byte belongs to two entries: so bombs are made that no ratio shows.

    Raises:
        DataError: Two overlap.
    """
    before = Span("", 0, 0)
    for span in sorted(spans, key=lambda span: span.start):
        if span.start < before.end:
            raise refusal(span.name, f"overlaps with {printable(before.name)}")
        before = span


@dataclass
class Meter:
    """How much came out of an archive, against what may.

    Attributes:
        packed: Bytes of the archive.
        room: Bytes that may be written.
    """

    packed: int
    room: int
    _unpacked: int = 0
    _written: int = 0

    def foresee(self, unpacked: int, written: int = 0) -> None:
        """See to it that so many bytes more would be within the limits.

        Raises:
            DataError: They would not.
        """
        total = self._unpacked + unpacked
        if total > FREE_OF_RATIO and total > MOST_RATIO * self.packed:
            raise DataError(
                f"unpacks to more than {MOST_RATIO} times its size, as only bombs do", mend=_MEND
            )
        if self._written + written > self.room:
            raise DataError(
                f"unpacks to more than the {byte_size(self.room)} that the disk has to spare",
                mend="Make room, or name a folder on another disk: FINETUNE_CACHE for archives of "
                "your own, --out for public data sets.",
            )

    def add(self, unpacked: int, written: int = 0) -> None:
        """Count bytes that came out, and those of them that are written.

        Raises:
            DataError: They are beyond the limits.
        """
        self.foresee(unpacked, written)
        self._unpacked += unpacked
        self._written += written


@dataclass
class Judge:
    """Says of one entry after another whether it is unpacked.

    Attributes:
        folds_case: Whether the file system takes ``A.png`` and ``a.png`` for one file.
        take: Patterns of the files that are unpacked, as `fnmatch` has them, where ``*`` goes over
            ``/`` too; none: images and tables.
        ignored: Files that are not unpacked, counted by their suffix.
    """

    folds_case: bool
    take: tuple[str, ...] = ()
    ignored: Counter[str] = field(default_factory=Counter)
    _files: set[str] = field(default_factory=set)
    _folders: dict[str, str] = field(default_factory=dict)
    _entries: int = 0

    def place(self, entry: Entry) -> PurePosixPath | None:
        """Where in the folder the entry goes; None where it is passed over.

        Folders go there too, and those of files that are passed over: an empty class is told.

        Raises:
            DataError: The archive must not be unpacked at all.
        """
        if fault := _kind_fault(entry) or _name_fault(entry.name):
            raise refusal(entry.name, fault)
        parts = [part for part in entry.name.split("/") if part not in ("", ".")]
        self._count()
        self._claim(entry, parts)
        if not parts or any(is_clutter(part) for part in parts):
            return None
        return PurePosixPath(*parts)

    def wanted(self, place: PurePosixPath) -> bool:
        """Whether the file is to be taken: by its suffix, or its path; others are counted."""
        suffix = place.suffix.lower()
        if self.take:
            wanted = any(fnmatchcase(str(place), pattern) for pattern in self.take)
        else:
            wanted = suffix in SUFFIXES or suffix in TABLE_SUFFIXES
        if wanted:
            return True
        self.ignored[suffix] += 1
        return False

    def _claim(self, entry: Entry, parts: list[str]) -> None:
        above = parts if entry.kind == "folder" else parts[:-1]
        for depth in range(len(above), 0, -1):
            if not self._claim_folder(entry, "/".join(above[:depth])):
                break
        if entry.kind != "file":
            return
        key = self._key("/".join(parts))
        if key in self._files or key in self._folders or not parts:
            raise refusal(entry.name, TWICE)
        self._files.add(key)

    def _claim_folder(self, entry: Entry, folder: str) -> bool:
        """Whether the folder is new."""
        key = self._key(folder)
        if key in self._files:
            raise refusal(entry.name, TWICE)
        new = key not in self._folders
        spelt = self._folders.setdefault(key, folder)
        if spelt != folder:
            raise refusal(entry.name, f"differs from the folder {printable(spelt)} in letter case")
        return new

    def _key(self, path: str) -> str:
        return unicodedata.normalize("NFC", path).casefold() if self.folds_case else path

    def _count(self) -> None:
        self._entries += 1
        if self._entries + len(self._folders) > MOST_ENTRIES:
            raise DataError(f"holds more than {MOST_ENTRIES:,} files and folders", mend=_MEND)


def _kind_fault(entry: Entry) -> str:
    if entry.kind not in ("file", "folder"):
        return f"is {entry.kind}"
    return entry.fault


def _name_fault(name: str) -> str:
    if "\0" in name:
        return "has a NUL character in its name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/"):
        return "has an absolute path"
    if _DRIVE.match(name):
        return "has the path of a drive"
    parts = name.split("/")
    if ".." in parts:
        return "has .. in its path"
    if len(parts) > MOST_FOLDERS_DEEP:
        return f"lies more than {MOST_FOLDERS_DEEP} folders deep"
    return _length_fault(parts)


def _length_fault(parts: list[str]) -> str:
    try:
        sizes = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    except UnicodeEncodeError:
        return "has a name that is no text"
    longest, whole = MOST_NAME_BYTES
    return "has too long a name" if max(sizes) > longest or sum(sizes) > whole else ""
