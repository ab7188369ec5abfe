"""DATA as an archive: unpacked to the cache once, and listed from there."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING

from finetune.data.manifest import part_named
from finetune.data.sources.archives import TWICE, ZIP_SUFFIXES, Judge, Meter, refusal
from finetune.data.sources.bulk import bytes_shown, digest_of
from finetune.data.sources.indexing import (
    Listing,
    errors_of,
    is_clutter,
    list_folder,
    printable_path,
    told_left_out,
)
from finetune.data.sources.kept import LeftOut, kept_folder
from finetune.data.sources.packed import tar_entries, zip_entries
from finetune.data.sources.table import TABLE_SUFFIXES, columns_of, list_table
from finetune.errors import DataError
from finetune.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from finetune.console import Reporter
    from finetune.data.sources.archives import Entry

_SPARED = 0.05
"""Share of the free disk that is left to others."""


def list_archive(data: Path, reporter: Reporter) -> Listing:
    """The images of an archive, as those of the folder or table that is in it.

    Its root lies in the cache: there it is unpacked, unless that was done before.

    Raises:
        DataError: It is damaged, may not be unpacked, or holds none of the forms of DATA.
    """
    with errors_of(data):
        folder, left_out = _unpacked(data, reporter)
    root = _unwrapped(folder)
    with errors_of(data, always=True):
        listing = _listed(root)
    return replace(
        listing,
        notes=(f"It is unpacked in {printable_path(root)}.", *left_out.notes, *listing.notes),
        warnings=(*left_out.warnings, *listing.warnings),
    )


def unpack(archive: Path, folder: Path, reporter: Reporter, take: tuple[str, ...] = ()) -> None:
    """Unpack an archive into a folder, under the limits and rules of `list_archive`.

    Args:
        archive: A zip or tar file.
        folder: Is there; may hold what other archives held.
        reporter: Told how far it is.
        take: Patterns of the files that are wanted, ``*`` going over ``/`` too; none: images and
            tables.

    Raises:
        DataError: It is damaged, may not be unpacked, or has a file that is in ``folder`` already.
    """
    with errors_of(archive), archive.open("rb") as file:
        _Unpacking(archive, file, folder, reporter, take).unpack()


def _unpacked(data: Path, reporter: Reporter) -> tuple[Path, LeftOut]:
    try:
        with data.open("rb") as file:
            before = _state(file)
            digest = digest_of(file, f"Reading {data.name}", reporter)
            file.seek(0)

            def fill(folder: Path) -> LeftOut:
                left_out = _Unpacking(data, file, folder, reporter).unpack()
                if _state(file) != before:
                    raise DataError("changed while it was read", mend="Wait until it is complete.")
                return left_out

            return kept_folder("archives", digest, fill)
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}") from error


def _state(file: IO[bytes]) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


@dataclass(frozen=True)
class _Unpacking:
    """One archive on its way into an empty folder."""

    data: Path
    file: IO[bytes]
    folder: Path
    reporter: Reporter
    take: tuple[str, ...] = ()

    def unpack(self) -> LeftOut:
        size = os.fstat(self.file.fileno()).st_size
        room = int(shutil.disk_usage(self.folder).free * (1 - _SPARED))
        meter = Meter(size, room)
        judge = Judge(_folds_case(self.folder), self.take)
        is_zip = self.data.name.lower().endswith(ZIP_SUFFIXES)
        entries = zip_entries if is_zip else tar_entries
        with bytes_shown(f"Unpacking {self.data.name}", size, self.reporter) as done:
            for entry, content in entries(self.file, meter):
                self._take(entry, content, judge, meter)
                done.reach(entry.at)
        return LeftOut(*told_left_out(judge.ignored))

    def _take(self, entry: Entry, content: Iterator[bytes], judge: Judge, meter: Meter) -> None:
        place = judge.place(entry)
        if place is None:
            return
        folder = place if entry.kind == "folder" else place.parent
        try:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            if entry.kind == "file" and judge.wanted(place):
                meter.foresee(0, entry.size)
                _write(self.folder / place, content, meter)
        except FileExistsError as error:  # a file system that takes yet other names for one
            raise refusal(entry.name, TWICE) from error


def _write(path: Path, content: Iterator[bytes], meter: Meter) -> None:
    with path.open("xb") as file:  # never over another, whatever the file system makes of names
        for chunk in content:
            meter.add(0, len(chunk))
            file.write(chunk)


def _folds_case(folder: Path) -> bool:
    with tempfile.NamedTemporaryFile(dir=folder, prefix="Aa") as file:
        path = Path(file.name)
        return (path.parent / path.name.swapcase()).exists()


def _unwrapped(folder: Path) -> Path:
    """``folder``, or the one that all of its contents are wrapped in."""
    while True:
        inside = _visible(folder)
        if len(inside) != 1 or part_named(inside[0].name) == "train":
            return folder
        if not any(each.is_dir() or _is_table(each) for each in _visible(inside[0])):
            return folder
        folder = inside[0]


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if not is_clutter(each.name))


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLE_SUFFIXES


def _listed(root: Path) -> Listing:
    """By the table at the top that names images, or else by folders."""
    tables = [each for each in _visible(root) if _is_table(each)]
    naming = [each for each in tables if _names_images(each)]
    if len(naming) > 1:
        raise DataError(
            f"holds several tables of images: {listed([each.name for each in naming])}",
            mend="Unpack it, and name the one to learn from.",
        )
    if tables and not any(each.is_dir() for each in _visible(root)):
        naming = naming or tables[:1]
    if naming:
        return _inside(list_table(naming[0]))
    listing = list_folder(root)
    if not tables:
        return listing
    told = f"Left out, as they have no columns path and label: {listed([t.name for t in tables])}."
    return replace(listing, notes=(*listing.notes, told))


def _names_images(table: Path) -> bool:
    with suppress(DataError):
        return {"path", "label"} <= set(columns_of(table))
    return False


def _inside(listing: Listing) -> Listing:
    """``listing``, once it is sure that a stranger's table names no file of the machine."""
    outside = [item.path for item in listing.items if _leads_out(item.path)]
    if outside:
        raise DataError(
            f"its table names files that are not in it: {listed(outside)}",
            mend="Paths have to be relative to the table. If you trust it, unpack it and name the "
            "table.",
        )
    return listing


def _leads_out(path: str) -> bool:
    forms = (PurePosixPath(path), PureWindowsPath(path))
    return any(form.anchor or ".." in form.parts for form in forms)
