"""Images of a public data set on their way to class folders."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from finetune.errors import DataError
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from finetune.console import Reporter

_REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]|^\.|[. ]$')
"""Signs that some file system takes in no name, and a first dot, which hides a folder."""


@dataclass(frozen=True)
class Placement:
    """An image and where it belongs.

    Attributes:
        source: Its file.
        part: ``train``, ``val`` or ``test``; empty where the data set has no parts.
        label: Its class.
        name: What its file is called below the class folder.
    """

    source: Path
    part: str
    label: str
    name: PurePosixPath


def folder_name(label: str) -> str:
    """The class's name as a folder that every file system takes: ``F-16A_B`` for ``F-16A/B``.

    Raises:
        DataError: It is empty.
    """
    name = _REFUSED.sub("_", label)
    if not name:
        raise DataError("a class has an empty name")
    return name


def arrange(placed: Iterable[Placement], tree: Path, total: int, reporter: Reporter) -> None:
    """Move the images to ``tree/part/class/name``; those that are not there are told.

    Args:
        placed: Where each belongs.
        tree: Made here, on the same disk.
        total: How many are expected.
        reporter: Told how far it is.

    Raises:
        DataError: Two classes or two images would become one.
    """
    moving = _Moving(tree)
    with reporter.task("Laying out", total, "images") as task:
        for each in placed:
            moving.move(each)
            task.advance()
    if moving.absent:
        count = plural(len(moving.absent), "image")
        reporter.warn(
            f"{count} that the lists name are not there, or were named before: "
            f"{listed(moving.absent, 4)}"
        )


@dataclass
class _Moving:
    tree: Path
    absent: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def move(self, placed: Placement) -> None:
        folder = folder_name(placed.label)
        if self.labels.setdefault(folder.casefold(), placed.label) != placed.label:
            raise DataError(
                f"the classes {listed([self.labels[folder.casefold()], placed.label])} would "
                f"fall on one folder, {printable(folder)}"
            )
        target = self.tree / placed.part / folder / placed.name
        if not placed.source.is_file():
            self.absent.append(str(placed.name))
            return
        if target.exists():
            raise DataError(f"two images would fall on one file: {printable(str(target))}")
        target.parent.mkdir(parents=True, exist_ok=True)
        placed.source.replace(target)


def inside(root: Path, name: str) -> Path:
    """The file ``name`` in ``root``, as a list from a stranger names it.

    Raises:
        DataError: It leads elsewhere.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise DataError(f"a list names {printable(name)!r}, which is no file in the archive")
    return root.joinpath(*parts)


def present(root: Path, name: str) -> Path:
    """As `inside`, where there has to be something.

    Raises:
        DataError: There isn't.
    """
    path = inside(root, name)
    if path.exists():
        return path
    raise DataError(
        f"there is no {printable(name)} in its archives",
        mend="The archives are of another form than the descriptor says, which `finetune datasets "
        "show` tells. A folder of class folders can be trained on as it is.",
    )
