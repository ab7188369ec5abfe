"""DATA looked at for other ends than a new training: to be scored, or to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finetune.console import Reporter
from finetune.data.files.hygiene import bad_lines, check_files
from finetune.data.manifest import Item, Manifest
from finetune.data.parts.dividing import as_given
from finetune.data.reading import list_data
from finetune.data.sources.indexing import printable_path
from finetune.errors import DataError, RunError
from finetune.text import listed, plural


def read_labelled(
    data: Path, classes: Sequence[str], max_pixels: int, reporter: Reporter
) -> Manifest:
    """The manifest of labelled images to score a classifier on; its classes are ``classes``.

    DATA may lack some of them. Parts that DATA brings are respected, a lone ``val`` being the test
    part as in training; nothing is carved out.

    Raises:
        DataError: DATA has a class that is none of ``classes``, or no image that can be read.
    """
    listing = list_data(data, reporter)
    for line in (*listing.notes, *listing.warnings):
        reporter.say(line)
    unknown = sorted({item.label for item in listing.items} - set(classes))
    if unknown:
        raise DataError(
            f"{plural(len(unknown), 'class', 'classes')} that the model doesn't know: "
            f"{listed(unknown)}",
            where=printable_path(data),
            mend=f"The model's classes are {listed(list(classes), 20)}.",
        )
    items = check_files(listing.root, listing.items, max_pixels, reporter).items
    bad = sum(item.status == "bad" for item in items)
    if bad == len(items):
        raise DataError("there is no image that can be read", where=printable_path(data))
    if bad:
        told = "\n".join([f"{plural(bad, 'file')} can't be read:", *bad_lines(items)])
        reporter.warn(told)
    divided = as_given(items, reporter)
    return Manifest(listing.root, tuple(classes), tuple(sorted(divided, key=lambda i: i.path)))


def verify_unchanged(manifest: Manifest, max_pixels: int, reporter: Reporter) -> None:
    """See to it that the files of a manifest are still what they were.

    Raises:
        RunError: Some are gone or have changed.
    """
    known = [item for item in manifest.items if item.status == "ok"]
    fresh = [replace(item, digest="", reason="") for item in known]
    looked = check_files(manifest.root, fresh, max_pixels, reporter, afresh=True)
    now = {item.path: item for item in looked.items}
    changed = [_difference(item, now[item.path]) for item in known]
    changed = [difference for difference in changed if difference]
    if changed:
        raise RunError(
            f"{plural(len(changed), 'file')} changed since the run began: {listed(changed)}",
            where=printable_path(manifest.root),
            mend="Put them back to go on, or start a new run. If DATA was moved, name its new "
            "place: finetune train --resume RUN DATA",
        )


def _difference(was: Item, now: Item) -> str:
    if now.digest == was.digest:
        return ""
    return f"{was.path} ({now.reason or 'other bytes'})"
