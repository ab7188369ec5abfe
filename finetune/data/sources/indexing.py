"""DATA as a folder: which files belong to which class, and to which part."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.data.files.decoding import SUFFIXES, suffix
from finetune.data.manifest import Item, part_named
from finetune.errors import DataError
from finetune.memory import without_collecting
from finetune.run import is_run
from finetune.text import listed, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_MOST_CLASS_FOLDERS = 1_000  # above a folder with more beside it nothing is suggested
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_OTHER_PICTURES = frozenset(
    {".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jp2", ".jxl", ".nef", ".orf"}
    | {".pef", ".psd", ".raf", ".rw2", ".svg"}
)

LAYOUT = """Expected is a folder of class folders:
    photos/cat/1.jpg  photos/cat/2.jpg  photos/dog/1.jpg
or one with a train/ folder of class folders beside val/ and test/ (or one of them):
    photos/train/cat/1.jpg  photos/test/cat/2.jpg
or a CSV or Parquet file with the columns path, label and, if you like, split, group;
or any of them packed as .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz;
or a folder that save_to_disk of Hugging Face datasets wrote."""


@dataclass(frozen=True)
class Listing:
    """What DATA names, before any image is opened.

    Attributes:
        root: The folder that paths are relative to.
        items: One a file.
        classes: Every class that is named, also those without an image.
        notes: What a person wants to know about it.
        warnings: What a person should look at.
    """

    root: Path
    items: tuple[Item, ...]
    classes: frozenset[str]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@without_collecting()
def list_folder(data: Path) -> Listing:
    """The images of a folder of class folders, or of one with split folders.

    Raises:
        DataError: There are no class folders, two folders mean the same part, there are split
            folders but no ``train``, or a folder can't be listed.
    """
    try:
        return _Search(data).listing()
    except OSError as error:
        where = printable_path(error.filename) if error.filename else printable_path(data)
        raise DataError(f"can't be listed: {error.strerror}", where=where) from error


def printable_path(path: str | bytes | Path) -> str:
    """A path, safe to show."""
    return listed([os.fsdecode(path)])


@contextmanager
def errors_of(data: Path, *, always: bool = False) -> Iterator[None]:
    """Tell what is wrong of DATA itself where no place is told; ``always``: whatever is told."""
    try:
        yield
    except DataError as error:
        if error.where and not always:
            raise
        raise DataError(error.found, where=printable_path(data), mend=error.mend) from error


@dataclass
class _Search:
    """One walk over DATA; nothing in it is ever written."""

    data: Path
    items: list[Item] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    ignored: Counter[str] = field(default_factory=Counter)
    loose: list[str] = field(default_factory=list)
    taken: set[tuple[int, int]] = field(default_factory=set)

    def listing(self) -> Listing:
        self.taken |= {_identity(folder) for folder in _with_parents(self.data)}
        folders = self._folders(self.data, "")
        if splits := self._splits(folders):
            for folder, part in splits.items():
                self.taken.add(_identity(self.data / folder))
                self._add_classes(folder + "/", part)
        else:
            self._add_classes("", "")
        if not self.classes:
            raise _no_classes(self.data, folders, self.loose)
        notes, warnings = told_left_out(self.ignored)
        return Listing(
            self.data,
            tuple(self.items),
            frozenset(self.classes),
            notes,
            (*self._loose(), *_taken_for_classes(self.classes), *warnings),
        )

    def _splits(self, folders: list[str]) -> dict[str, str]:
        parts = {folder: part_named(folder) for folder in folders}
        if not folders or None in parts.values():
            return {}
        named = {folder: part for folder, part in parts.items() if part is not None}
        repeated = [part for part, count in Counter(named.values()).items() if count > 1]
        if repeated:
            same = listed([folder for folder, part in named.items() if part in repeated])
            raise DataError(
                f"these folders mean the same part: {same}",
                where=printable_path(self.data),
                mend="Put their images into one, or take one of them elsewhere.",
            )
        if "train" not in named.values():
            raise DataError(
                f"there is {listed(folders)} but no train folder to learn from",
                where=printable_path(self.data),
                mend=LAYOUT,
            )
        return named

    def _add_classes(self, prefix: str, part: str) -> None:
        names = self._folders(self.data / prefix, prefix, tell_loose=True)
        identities = {name: _identity(self.data / prefix / name) for name in names}
        for name in names:
            self.classes.add(name)
            # A link to another class, or to a folder above, would bring its images in here.
            seen = self.taken | (set(identities.values()) - {identities[name]})
            for path in self._files(f"{prefix}{name}", seen):
                self.items.append(Item(path, name, split=part))

    def _folders(self, folder: Path, prefix: str, *, tell_loose: bool = False) -> list[str]:
        names = []
        for entry in _entries(str(folder)):
            if _is_folder(entry):
                if not is_run(Path(entry.path)):
                    names.append(entry.name)
            elif tell_loose and suffix(entry.name) in SUFFIXES:
                self.loose.append(prefix + entry.name)
        return names

    def _files(self, folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            absolute = self.data / current
            identity = _identity(absolute)
            if identity in seen or (current != folder and is_run(absolute)):
                continue
            seen.add(identity)
            below = []
            for entry in _entries(str(absolute)):
                path = f"{current}/{entry.name}"
                if _is_folder(entry):
                    below.append(path)
                elif suffix(entry.name) in SUFFIXES:
                    yield path
                else:
                    self.ignored[suffix(entry.name)] += 1
            waiting += reversed(below)

    def _loose(self) -> Iterator[str]:
        if self.loose:
            yield f"{plural(len(self.loose), 'image')} in no class folder left out: " + listed(
                self.loose
            )


def _taken_for_classes(classes: Collection[str]) -> Iterator[str]:
    """A warning where class folders look like splits with something else beside them."""
    named = {name: part for name in sorted(classes) if (part := part_named(name))}
    others = sorted(set(classes) - named.keys())
    if others and "train" in named.values() and len(set(named.values())) > 1:
        yield (
            f"{listed(list(named))} are taken for classes, since {listed(others)} stands beside "
            "them. If they are splits, take the rest elsewhere."
        )


def told_left_out(ignored: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Notes and warnings about files that are no images of the formats, counted by suffix."""
    plain = {suffix: n for suffix, n in ignored.items() if suffix not in _OTHER_PICTURES}
    other = {suffix: n for suffix, n in ignored.items() if suffix in _OTHER_PICTURES}
    notes = (f"Left out, as they are no images: {_counted(plain)}.",) if plain else ()
    warning = (
        f"left out: {_counted(other)}. Only JPEG, PNG, WebP, BMP, TIFF and GIF are read; convert "
        "these to have them learnt from."
    )
    return notes, (warning,) if other else ()


def _no_classes(data: Path, folders: list[str], loose: list[str]) -> DataError:
    if folders:
        found = f"no class folders in {listed(folders)}"
    elif loose:
        found = f"{plural(len(loose), 'image')} ({listed(loose, 3)}) but no class folders"
    else:
        inside = sorted(entry.name for entry in data.iterdir())
        found = f"no class folders; it holds {listed(inside, 5) or 'nothing'}"
    return DataError(found, where=printable_path(data), mend=_above(data, loose) + LAYOUT)


def _above(data: Path, loose: list[str]) -> str:
    """A word on the folder above, where ``data`` looks like one class folder of several."""
    parent = data.absolute().parent
    siblings: list[str] = []
    with suppress(OSError):  # a hint, no more
        siblings = [each.name for each in parent.iterdir() if each.is_dir()] if loose else []
    if len(siblings) < 2 or len(siblings) > _MOST_CLASS_FOLDERS:
        return ""
    return f"If it is one class of several, name the folder above: {printable_path(parent)}.\n"


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not is_clutter(entry.name)]
    return sorted(visible, key=lambda entry: entry.name)


def is_clutter(name: str) -> bool:
    """Whether a file or folder is passed over by its name: hidden, or a system's own."""
    return name.startswith(".") or name.casefold() in _CLUTTER


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(folder: Path) -> tuple[int, int]:
    state = folder.stat()
    return state.st_dev, state.st_ino


def _with_parents(folder: Path) -> tuple[Path, ...]:
    resolved = folder.resolve()
    return (resolved, *resolved.parents)


def _counted(suffixes: dict[str, int]) -> str:
    kinds = [
        f"{count:,} {ending or 'without a suffix'}"
        for ending, count in sorted(suffixes.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return listed(kinds)
