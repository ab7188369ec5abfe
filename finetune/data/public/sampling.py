"""A few images of each class of a fetched data set, always the same ones."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.data.files.decoding import SUFFIXES
from finetune.data.public.catalogue import card
from finetune.data.public.fetched import read_note, write_notes
from finetune.data.public.fetching import check_place, publish
from finetune.errors import DataError
from finetune.files import text_digest
from finetune.text import plural, printable

if TYPE_CHECKING:
    from finetune.data.public.descriptors import Descriptor
    from finetune.data.public.fetched import FetchNote


def sample(descriptor: Descriptor, fetched: Path, out: Path, per_class: int, seed: int) -> int:
    """Copy ``per_class`` images of each class in each part to ``out``.

    Which ones depends on the seed and their paths alone, and fewer are some of more: 10 of each
    class are among the 20. A class that has fewer gives all.

    Args:
        descriptor: Of the data set.
        fetched: The whole of it.
        out: Does not exist yet, or is empty; appears whole.
        per_class: How many, at least 1.
        seed: Another one takes others.

    Returns:
        The number of images.

    Raises:
        DataError: ``fetched`` does not hold the data set, or there is something in ``out``.
    """
    note = _note_on(descriptor, fetched)
    check_place(out)
    parts = descriptor.splits is not None
    chosen = chosen_from(_images(fetched), per_class, seed, parts=parts)
    told = f"A sample: {plural(per_class, 'image')} of each class in each part, seed {seed}."
    few = replace(note, images=len(chosen), remarks=(*note.remarks, told))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        tree = Path(temporary) / "tree"
        _copy(chosen, fetched, tree)
        write_notes(tree, few, descriptor, card(descriptor.name))
        publish(tree, out)
    return len(chosen)


def _note_on(descriptor: Descriptor, fetched: Path) -> FetchNote:
    note = read_note(fetched) if fetched.is_dir() else None
    if note and note.name == descriptor.name:
        return note
    raise DataError(
        f"does not hold {descriptor.name} as `finetune datasets fetch` lays it out",
        where=printable(str(fetched)),
        mend="Fetch it to a folder of its own, and give that with --from:\n"
        f"  finetune datasets fetch {descriptor.name} --out FOLDER",
    )


def _copy(paths: list[str], source: Path, target: Path) -> None:
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)


def chosen_from(paths: list[str], per_class: int, seed: int, *, parts: bool) -> list[str]:
    """At most ``per_class`` of the paths of each class and part, by the SHA-256 of seed and path.

    Args:
        paths: ``part/class/...``, or ``class/...`` where there are no parts.
        per_class: How many.
        seed: Another one takes others.
        parts: Whether paths begin with a part.
    """
    by_class: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths, key=lambda path: text_digest(f"{seed} {path}")):
        by_class["/".join(path.split("/")[: 2 if parts else 1])].append(path)
    return sorted(path for chosen in by_class.values() for path in chosen[:per_class])


def _images(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [path.relative_to(folder).as_posix() for path in files if path.is_file()]
