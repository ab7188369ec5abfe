"""What lies beside the images of a fetched data set: its card, and where each file came from."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from finetune.errors import DataError
from finetune.files import write_json, write_text
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from finetune.data.public.descriptors import Descriptor

NOTE = ".dataset.json"
"""Hidden, so that nothing takes it for data."""

CARD = "DATASET.md"
"""Loose above the class folders, where no reading of them looks for images."""


@dataclass(frozen=True)
class FileNote:
    """Where a file was from, and what it was."""

    name: str
    origin: str
    bytes: int
    digest: str


@dataclass(frozen=True)
class FetchNote:
    """What a fetched folder holds.

    Attributes:
        name: Of the data set.
        date: Of the fetch, ``YYYY-MM-DD``.
        images: How many there are.
        files: What they were unpacked from.
        remarks: Where they are not what the card says.
    """

    name: str
    date: str
    images: int
    files: tuple[FileNote, ...]
    remarks: tuple[str, ...]


def write_notes(folder: Path, note: FetchNote, descriptor: Descriptor, card: str) -> None:
    """Write the card with licence, citation and origin, and the same for programs."""
    write_json(folder / NOTE, asdict(note))
    write_text(folder / CARD, "\n".join([card.rstrip("\n"), *_added(note, descriptor), ""]))


def read_note(folder: Path) -> FetchNote | None:
    """What the folder holds; None where it was not fetched.

    Raises:
        DataError: It was, and its note is damaged.
    """
    path = folder / NOTE
    if not path.is_file():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(FileNote(**each) for each in fields.pop("files"))
        return FetchNote(**fields | {"remarks": tuple(fields["remarks"])}, files=files)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"can't be read: {printable(str(error))}", where=str(path)) from error


def _added(note: FetchNote, descriptor: Descriptor) -> Iterator[str]:
    yield ""
    yield _filled(f"**Terms.** {descriptor.licence}. {descriptor.licence_note}")
    yield _filled(f"**Cite.** {descriptor.citation}")
    yield _filled(f"**Its makers' page.** {descriptor.homepage}")
    yield _filled(f"**This copy.** {note.images:,} images, fetched on {note.date}.")
    yield from (f"- {printable(remark)}" for remark in note.remarks)
    for file in note.files:
        yield f"- {file.name}: {file.bytes:,} bytes, {file.digest}, {printable(file.origin)}"


def _filled(text: str) -> str:
    return textwrap.fill(text, 99, break_long_words=False, break_on_hyphens=False) + "\n"
