"""A public data set, from its host to a folder that can be trained on."""

from __future__ import annotations

import datetime
import gzip
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.cache import nearest_existing
from finetune.data.public.annotations import check_can_be_read
from finetune.data.public.catalogue import card
from finetune.data.public.counting import Counts, differences
from finetune.data.public.fetched import FetchNote, FileNote, read_note, write_notes
from finetune.data.public.laying_out import placements
from finetune.data.public.layouts import Folders
from finetune.data.public.placing import arrange, present
from finetune.data.sources.archives import is_archive
from finetune.data.sources.unpacking import unpack
from finetune.errors import DataError, RunError
from finetune.files import as_usual
from finetune.locking import locked
from finetune.text import byte_size, plural, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from finetune.console import Reporter
    from finetune.data.public.descriptors import Descriptor
    from finetune.data.public.obtaining import Obtained, Obtaining

MOST_UNPACKED = 2**36
"""Bytes that a single compressed file may come to: PatchCamelyon's largest comes to 7 GiB."""

_CHUNK = 2**20


def unfinished(out: Path) -> Path:
    """Where a fetch to ``out`` gathers what it has; beside it, so that ``out`` is whole or not."""
    return out.with_name(f".{out.name}.unfinished")


def fetch(descriptor: Descriptor, out: Path, obtaining: Obtaining) -> Path:
    """Download a data set, lay it out, and compare it with its descriptor.

    ``out`` appears once all of it is there. What an interrupted fetch leaves in `unfinished` is
    gone on with.

    Args:
        descriptor: Of the data set.
        out: Does not exist yet, or is empty.
        obtaining: Gets its files, into a folder of `unfinished`.

    Returns:
        ``out``: class folders, or ``train``, ``val`` and ``test`` with class folders.

    Raises:
        DataError: A file can't be had, is another than it should be, or can't be laid out; or there
            is something in ``out``.
    """
    check_can_be_read(descriptor)
    check_place(out)
    obtaining.check()
    _check_room(out, obtaining)
    with _held(out) as work:
        obtained = [obtaining.get(file) for file in descriptor.files]
        tree = _laid_out(descriptor, obtained, work, obtaining.reporter)
        note = _noted(descriptor, obtained, tree, obtaining.reporter)
        write_notes(tree, note, descriptor, card(descriptor.name))
        publish(tree, out)
    shutil.rmtree(work, ignore_errors=True)
    return out


def publish(tree: Path, out: Path) -> None:
    """Give a folder that is whole its name, which an empty one may have had."""
    if out.exists():
        out.rmdir()
    as_usual(tree)
    tree.rename(out)


def check_place(out: Path) -> None:
    """See to it that there is nothing at ``out``.

    Raises:
        DataError: There is.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    note = read_note(out) if out.is_dir() else None
    held = f"holds {printable(note.name)} already, fetched on {note.date}" if note else "is in use"
    raise DataError(
        f"{held}; nothing in it was changed",
        where=printable(str(out)),
        mend="Name another folder with --out, or remove this one.",
    )


def _check_room(out: Path, obtaining: Obtaining) -> None:
    wanted = obtaining.missing()
    free = shutil.disk_usage(nearest_existing(out.absolute().parent)).free
    if wanted > free:
        raise DataError(
            f"{byte_size(wanted)} have to be downloaded, and the disk has {byte_size(free)} to "
            "spare; unpacked, they take about as much again",
            where=printable(str(out)),
            mend="Make room, or name a folder on another disk with --out.",
        )


@contextmanager
def _held(out: Path) -> Iterator[Path]:
    """The folder where it gathers, for this process alone."""
    work = unfinished(out)
    work.mkdir(parents=True, exist_ok=True)
    try:
        with locked(work / "lock"):
            yield work
    except RunError as error:
        raise DataError(error.found, where=error.where, mend="Wait for its end.") from error
    finally:
        with suppress(OSError):  # where there is anything in it, it stays
            work.rmdir()


def _laid_out(
    descriptor: Descriptor, obtained: list[Obtained], work: Path, reporter: Reporter
) -> Path:
    root, tree = work / "unpacked", work / "tree"
    for folder in (root, tree):  # of an interrupted fetch; files are moved from one to the other
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    for each in obtained:
        _open(each, root, reporter)
    if isinstance(descriptor.layout, Folders) and descriptor.layout.nested:
        unpack(present(root, descriptor.layout.nested), root, reporter)
    arrange(placements(descriptor, root), tree, descriptor.images, reporter)
    return tree


def _open(obtained: Obtained, root: Path, reporter: Reporter) -> None:
    """Put what is in the file below ``root``; or the file itself, where it is no archive."""
    path, file = obtained.path, obtained.file
    if is_archive(path):
        unpack(path, root, reporter, file.take)
    elif path.suffix == ".gz":
        _expand(path, root / path.stem)
    else:
        shutil.copyfile(path, root / path.name)


def _expand(path: Path, target: Path) -> None:
    try:
        with gzip.open(path) as packed, target.open("wb") as file:
            while chunk := packed.read(_CHUNK):
                file.write(chunk)
                if file.tell() > MOST_UNPACKED:
                    raise DataError("unpacks to too much", where=path.name)
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"is damaged: {error}", where=path.name) from error


def _noted(
    descriptor: Descriptor, obtained: list[Obtained], tree: Path, reporter: Reporter
) -> FetchNote:
    counts = Counts.of(tree, parts=descriptor.splits is not None)
    if not counts.total:
        raise DataError("there was no image in it", where=descriptor.name)
    remarks = _told(descriptor, counts, reporter)
    files = (
        FileNote(each.file.name, each.origin, each.path.stat().st_size, str(each.digest))
        for each in obtained
    )
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return FetchNote(descriptor.name, today, counts.total, tuple(files), tuple(remarks))


def _told(descriptor: Descriptor, counts: Counts, reporter: Reporter) -> list[str]:
    """Where the counts are not those of the card, which is told."""
    lines = differences(descriptor, counts)
    if lines:
        known = "unverified" if "images" in descriptor.unverified else "verified"
        reporter.warn("\n".join([f"not as the card says, whose counts are {known}:", *lines]))
    else:
        classes = plural(len(counts.by_class()), "class", "classes")
        reporter.say(f"{plural(counts.total, 'image')} in {classes}, as the card says.")
    return lines
