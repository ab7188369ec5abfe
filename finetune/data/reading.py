"""From DATA to a manifest: listed, looked at file by file, judged, divided into parts."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from finetune.console import Silent
from finetune.data import judging
from finetune.data.copies.leaks import treat_leaks
from finetune.data.files.hygiene import bad_lines
from finetune.data.manifest import Item, Manifest
from finetune.data.parts.pool import FEWEST
from finetune.data.sources.archives import is_archive
from finetune.data.sources.indexing import LAYOUT, Listing, list_folder, printable_path
from finetune.data.sources.saved_datasets import is_saved_dataset, list_saved_dataset
from finetune.data.sources.table import TABLE_SUFFIXES, list_table
from finetune.data.sources.unpacking import list_archive
from finetune.data.surveying import divide_survey, survey
from finetune.errors import DataError
from finetune.run import is_run
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from finetune.console import Reporter
    from finetune.recipe.schema import DataOptions


def read_data(data: Path, options: DataOptions, seed: int, reporter: Reporter) -> Manifest:
    """The manifest of DATA to learn from. Every file is opened once; nothing is written.

    Args:
        data: A folder of class folders or of split folders, or a CSV or Parquet file.
        options: The recipe's ``data`` section.
        seed: The recipe's seed.
        reporter: Told what was found and what was left out.

    Raises:
        DataError: DATA can't be learnt from; faults of one kind are told together.
    """
    listing = _listed(data, reporter)
    _raise_if(data, [*judging.label_faults(listing.items), *_count_faults(listing)])
    surveyed = survey(listing, options, reporter)
    _judge_survey(data, surveyed.listing, options.on_bad_image, reporter)
    for warning in judging.conflicts(surveyed.items, surveyed.copies):
        reporter.warn(warning)
    divided = divide_survey(surveyed, options, seed, reporter)
    divided = treat_leaks(divided, surveyed.copies, options.on_leak, reporter)
    _judge_division(data, divided, options, reporter)
    return Manifest.of(listing.root, divided)


def list_data(data: Path, reporter: Reporter | None = None) -> Listing:
    """What DATA names, before any image is opened.

    What has to be unpacked is unpacked to the cache first; ``reporter`` is shown how far that is.

    Raises:
        DataError: It does not exist, or is none of the forms.
    """
    check_exists(data)
    if data.is_dir() and is_run(data):
        mend = "Name the folder with the images."
        raise DataError("is a run directory", where=printable_path(data), mend=mend)
    if is_saved_dataset(data):
        return list_saved_dataset(data, reporter or Silent())
    if data.is_dir():
        return list_folder(data)
    if data.suffix.lower() in TABLE_SUFFIXES:
        return list_table(data)
    if is_archive(data):
        return list_archive(data, reporter or Silent())
    kind = f"a {printable(data.suffix)} file" if data.suffix else "a file without a suffix"
    mend = f"Unpack it first if it is an archive of another kind.\n{LAYOUT}"
    raise DataError(f"is {kind}", where=printable_path(data), mend=mend)


def root_of(data: Path, reporter: Reporter) -> Path:
    """The folder that paths of DATA are relative to; no class or image is looked for.

    Raises:
        DataError: It has to be unpacked, and that fails.
    """
    if (data.is_file() and is_archive(data)) or is_saved_dataset(data):
        return list_data(data, reporter).root
    return data.parent if data.is_file() else data


def check_exists(data: Path) -> None:
    """See to it that there is something at DATA.

    Raises:
        DataError: There isn't; what lies beside it is told.
    """
    if data.exists():
        return
    beside = sorted(p.name for p in data.parent.iterdir()) if data.parent.is_dir() else []
    close = get_close_matches(data.name, beside, n=3)
    if close:
        mend = f"Beside it there is {listed(close)}."
    elif data.parent.is_dir():
        mend = f"The folder that it should lie in holds {listed(beside, 5) or 'nothing'}."
    else:
        mend = "The folder that it should lie in does not exist either."
    raise DataError("there is no such file or folder", where=printable_path(data), mend=mend)


def _listed(data: Path, reporter: Reporter) -> Listing:
    listing = list_data(data, reporter)
    for note in listing.notes:
        reporter.say(note)
    for warning in listing.warnings:
        reporter.warn(warning)
    return listing


def _judge_survey(data: Path, listing: Listing, on_bad_image: str, reporter: Reporter) -> None:
    items = listing.items
    bad = sum(item.status == "bad" for item in items)
    count = f"{plural(bad, 'file')} of {len(items):,} can't be read"
    if bad and on_bad_image == "error":
        raise DataError(
            "\n".join([f"{count}:", *bad_lines(items, at_most=bad)]),
            where=printable_path(data),
            mend="Mend or remove them, or set data.on_bad_image to quarantine.",
        )
    if bad and not any(item.status == "ok" for item in items):
        raise DataError("\n".join([f"{count}:", *bad_lines(items)]), where=printable_path(data))
    if bad:
        reporter.warn("\n".join([f"{count}, set aside:", *bad_lines(items)]))
    _raise_if(data, _count_faults(listing))
    _tell_empty(listing, reporter)


def _count_faults(listing: Listing) -> list[str]:
    return list(judging.count_faults(listing.items, listing.classes))


def _raise_if(data: Path, faults: list[str]) -> None:
    if faults:
        raise DataError("\n".join(faults), where=printable_path(data), mend=LAYOUT)


def _tell_empty(listing: Listing, reporter: Reporter) -> None:
    empty = judging.empty_classes(listing.items, listing.classes)
    if empty:
        count = plural(len(empty), "class", "classes")
        reporter.warn(f"{count} left out, without an image that can be read: {listed(empty)}")


def _judge_division(
    data: Path, items: Sequence[Item], options: DataOptions, reporter: Reporter
) -> None:
    faults = list(judging.coverage_faults(items))
    if faults:
        mend = "Put images of such a class into train, or take it out of the other part."
        raise DataError("\n".join(faults), where=printable_path(data), mend=mend)
    present = {item.split for item in items if item.status == "ok"}
    wanted = {"train"} | {part for part in ("val", "test") if getattr(options, part)}
    if absent := sorted(wanted - present):
        raise DataError(
            f"too few images to keep some apart for {listed(absent)}",
            where=printable_path(data),
            mend=f"A class can spare images when it has {FEWEST} of them, in {FEWEST} groups "
            f"where there are groups. {_smaller_groups(items, options)}Give more images, or splits "
            "of your own.",
        )
    for warning in (*judging.straddling(items), *judging.coverage_warnings(items)):
        reporter.warn(warning)


def _smaller_groups(items: Sequence[Item], options: DataOptions) -> str:
    if not any(item.group for item in items):
        return ""
    if isinstance(options.group, str):
        return f"Groups are those of DATA and near-duplicates (data.group is {options.group}). "
    if options.group.exif is not None:
        return "Smaller groups: give data.group.exif fewer minutes. "
    return "Smaller groups: give data.group.pattern another pattern. "
