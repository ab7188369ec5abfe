"""Which files a person means by folders, globs and names."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from finetune.data.files.decoding import SUFFIXES, suffix
from finetune.errors import DataError
from finetune.text import plural, printable

Name = str | PathLike[str]
"""Of an image, a folder or a glob."""


def find_images(inputs: Name | Sequence[Name]) -> list[str]:
    """The files that ``inputs`` name, each once, in the order given and sorted in folders.

    A file is taken whatever its name. Of a folder, the files with an image's ending are taken, in
    subfolders too, which need not be classes; hidden ones are passed over. Anything else is tried
    as a glob.

    Raises:
        DataError: An input names nothing, or a folder without images; all such are told.
    """
    found: dict[str, None] = {}
    faults = []
    names = [inputs] if isinstance(inputs, str | PathLike) else inputs
    for name in [fspath(each) for each in names]:
        paths = _expand(name)
        if not paths:
            faults.append(_fault(name))
        found.update(dict.fromkeys(paths))
    if faults:
        raise DataError("\n".join(faults), mend="Name images, folders of images, or globs.")
    return list(found)


def _expand(name: str) -> list[str]:
    path = Path(name)
    if path.is_dir():
        return _images_in(path)
    if path.is_file():
        return [name]
    matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - takes absolute globs
    return [file for match in matches for file in _match(match)]


def _match(name: str) -> list[str]:
    path = Path(name)
    if path.is_dir():
        return []
    return [name] if suffix(path.name) in SUFFIXES else []


def _images_in(folder: Path) -> list[str]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            str(Path(parent) / name)
            for name in sorted(files)
            if suffix(name) in SUFFIXES and not name.startswith(".")
        ]
    return found


def _fault(name: str) -> str:
    path = Path(name)
    if not path.is_dir():
        return f"{printable(name)}: no such file, folder or glob"
    others = sum(1 for file in path.rglob("*") if file.is_file())
    return f"{printable(name)}: a folder without images ({plural(others, 'other file')})"
