"""DATA as a folder that Hugging Face `datasets` saved.

Its files are read as what they are, JSON and Arrow streams, without that library: nothing in them
is ever run, and no network is asked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.manifest import part_named
from finetune.data.sources.bulk import digest_of
from finetune.data.sources.indexing import Listing, errors_of, printable_path
from finetune.data.sources.kept import kept_folder
from finetune.data.sources.saved_columns import choose_columns
from finetune.data.sources.saved_images import TABLE, SavedPart, lay_down
from finetune.data.sources.table import list_table
from finetune.errors import DataError
from finetune.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetune.console import Reporter
    from finetune.data.sources.kept import LeftOut
    from finetune.data.sources.saved_columns import Columns

_DICT = "dataset_dict.json"
_INFO = "dataset_info.json"
_STATE = "state.json"


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote the folder."""
    return (folder / _DICT).is_file() or all((folder / n).is_file() for n in (_INFO, _STATE))


def list_saved_dataset(data: Path, reporter: Reporter) -> Listing:
    """The images of a saved dataset, or of a dictionary of them by splits.

    Its root lies in the cache: there its images are written as they are, byte by byte, unless that
    was done before.

    Raises:
        DataError: It is damaged, its splits are no parts, or not just one column of images and one
            of classes can be found in it.
    """
    with errors_of(data):
        parts = _parts(data)
        folder, left_out = _laid_down(parts, reporter)
    with errors_of(data, always=True):
        listing = list_table(folder / TABLE)
    notes = tuple(_notes(parts[0].columns, folder))
    return replace(listing, notes=notes, warnings=left_out.warnings)


def _notes(columns: Columns, folder: Path) -> list[str]:
    read = f"Read of the dataset: images from {listed([columns.image])}, classes from "
    notes = [f"{read}{listed([columns.label])}.", f"It is laid down in {printable_path(folder)}."]
    if columns.unused:
        notes.append(f"Columns that are not used: {listed(columns.unused)}.")
    return notes


def _laid_down(parts: Sequence[SavedPart], reporter: Reporter) -> tuple[Path, LeftOut]:
    try:
        key = _digest(parts, reporter)
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}") from error
    return kept_folder("datasets", key, lambda folder: lay_down(parts, folder, reporter))


def _digest(parts: Sequence[SavedPart], reporter: Reporter) -> str:
    """SHA-256 in hex over all that the files and the table are made from."""
    total = hashlib.sha256()
    for part in parts:
        total.update(repr((part.split, part.columns)).encode())
        for path in (part.folder / _STATE, *part.files):
            with path.open("rb") as file:
                total.update(digest_of(file, f"Reading {path.name}", reporter).encode())
    return total.hexdigest()


def _parts(data: Path) -> list[SavedPart]:
    if not (data / _DICT).is_file():
        return [_part(data, "")]
    names = _json(data / _DICT).get("splits")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{_DICT} names no splits")
    parts = {name: part_named(name) for name in names}
    strange = [name for name, part in parts.items() if part is None]
    if strange or len(set(parts.values())) < len(names) or "train" not in parts.values():
        raise DataError(
            f"its splits are {listed(names)}; each has to be train, val or test, and train is "
            "needed",
            mend="Name the folder of one split, or save those that are meant under these names.",
        )
    return [_part(data / name, part) for name, part in parts.items() if part]


def _part(folder: Path, split: str) -> SavedPart:
    features = _json(folder / _INFO).get("features")
    columns = choose_columns(features if isinstance(features, dict) else {})
    state = _json(folder / _STATE)
    if state.get("_indices_data_files"):
        raise DataError(
            "holds a selection of rows beside the rows, as early versions of datasets saved it",
            mend="Save it again with a newer one.",
        )
    return SavedPart(split, folder, tuple(_files(folder, state)), columns)


def _files(folder: Path, state: dict[str, Any]) -> list[Path]:
    try:
        names = [str(each["filename"]) for each in state["_data_files"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{_STATE} names no data files") from error
    outside = [name for name in names if Path(name).name != name or name in ("", "..")]
    if outside:
        raise DataError(f"{_STATE} names files that are not beside it: {listed(outside)}")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(f"files of the dataset are missing: {listed(missing)}")
    return [folder / name for name in names]


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{listed([path.name])} can't be read: {listed([str(error)])}") from error
    if not isinstance(value, dict):
        raise DataError(f"{listed([path.name])} is not as datasets writes it")
    return value
