"""What lies in a folder beside plain files, and files whose names are hard to bear."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.data.corpus.kinds import photo, stored

JPEG = stored(photo(), "JPEG")
UNLISTED = None
READABLE = ""


@dataclass(frozen=True)
class Place:
    """Something with a name in a folder.

    Attributes:
        name: Of it, as Python has names.
        make: Makes it at a path.
        reason: The whole reason; `READABLE`: there is none; `UNLISTED`: no such image is known.
    """

    name: str
    make: Callable[[Path], object]
    reason: str | None


def jpeg(path: Path) -> None:
    path.write_bytes(JPEG)


def write_places(folder: Path) -> list[Place]:
    """Make every place in ``folder``, and beside it what links lead to."""
    jpeg(folder.parent / "outside.jpg.bak")
    jpeg(folder / "first of two names.jpg")
    made = list(PLACES)
    if os.geteuid():
        made.append(Place("locked.jpg", _locked, "no permission to read it"))
    for place in made:
        place.make(folder / place.name)
    return made


def _link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


def _socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def _locked(path: Path) -> None:
    jpeg(path)
    path.chmod(0)


def _folder_with_one(path: Path) -> None:
    path.mkdir()
    jpeg(path / "inside.jpg")


def _long_path(path: Path) -> None:
    path.mkdir()
    for _ in range(6):
        path = path / ("d" * 200)
        path.mkdir()
    jpeg(path / "deep.jpg")


PLACES = (
    Place("first of two names.jpg", jpeg, READABLE),
    Place("second.jpg", lambda p: p.hardlink_to(p.with_name("first of two names.jpg")), READABLE),
    Place("link outside.jpg", _link("../outside.jpg.bak"), READABLE),
    Place("link inside.jpg", _link("first of two names.jpg"), READABLE),
    Place("broken link.jpg", _link("nowhere.jpg"), "broken link"),
    Place("link through a file.jpg", _link("second.jpg/x.jpg"), "broken link"),
    Place("link to itself.jpg", _link("link to itself.jpg"), "a link that leads back to itself"),
    Place(
        "one of a circle.jpg", _link("other of a circle.jpg"), "a link that leads back to itself"
    ),
    Place(
        "other of a circle.jpg", _link("one of a circle.jpg"), "a link that leads back to itself"
    ),
    Place("link to a device.jpg", _link("/dev/zero"), "not a regular file"),
    Place("pipe.jpg", os.mkfifo, "not a regular file"),
    Place("socket.jpg", _socket, "not a regular file"),
    Place("empty.jpg", Path.touch, "empty file"),
    Place("folder.jpg", Path.mkdir, UNLISTED),
    Place("empty folder", Path.mkdir, UNLISTED),
    Place("folder up", _link(".."), UNLISTED),
    Place("folder again", _link("."), UNLISTED),
    Place("folder link to itself", _link("folder link to itself"), UNLISTED),
    Place("full folder.png", _folder_with_one, UNLISTED),
    Place("full folder.png/inside.jpg", lambda path: None, READABLE),
    Place("long path", _long_path, UNLISTED),
    Place("long path" + 6 * ("/" + "d" * 200) + "/deep.jpg", lambda path: None, READABLE),
    Place(".hidden.jpg", jpeg, UNLISTED),
    Place("._resource of a Mac.jpg", jpeg, UNLISTED),
    Place("Thumbs.db", jpeg, UNLISTED),
    Place("notes.txt", Path.touch, UNLISTED),
    Place("telephone.HEIC", jpeg, UNLISTED),
    Place("no suffix", jpeg, UNLISTED),
    Place("half loaded.jpg.part", jpeg, UNLISTED),
    Place("two\nlines.jpg", jpeg, READABLE),
    Place("\x1b[31mred.jpg", jpeg, READABLE),
    Place("grinning \N{GRINNING FACE}.jpg", jpeg, READABLE),
    Place(os.fsdecode(b"caf\xe9.jpg"), jpeg, READABLE),
    Place("right to left \u202egpj.jpg", jpeg, READABLE),
    Place("-rf.jpg", jpeg, READABLE),
    Place("=1+1.jpg", jpeg, READABLE),
    Place("a,\"b';.jpg", jpeg, READABLE),
    Place(" blank before.jpg", jpeg, READABLE),
    Place("blank behind.jpg ", jpeg, READABLE),
    Place("dot behind.jpg.", jpeg, READABLE),
    Place("UPPER.JPEG", jpeg, READABLE),
    Place("%s{0}[bold]$HOME.jpg", jpeg, READABLE),
    Place("back\\slash.jpg", jpeg, READABLE),
    Place("n" * 246 + ".jpg", jpeg, READABLE),
)
