"""Where each image of a public data set belongs, by the layout of its archives."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, assert_never

from finetune.data.files.decoding import SUFFIXES
from finetune.data.public.layouts import Birds, BuiltIn, Cars, Flowers, Folders, Lists, Patches
from finetune.data.public.placing import Placement, inside, present
from finetune.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from finetune.data.public.descriptors import Descriptor


def placements(descriptor: Descriptor, root: Path) -> Iterator[Placement]:
    """Where each image belongs.

    Args:
        descriptor: Of the data set.
        root: Holds what was in the archives, and the files that are no archives.

    Raises:
        DataError: The archives are not of the form that the descriptor says.
    """
    from finetune.data.public import annotations

    layout, names = descriptor.layout, descriptor.class_names
    match layout:
        case BuiltIn():
            return _built_in(root)
        case Folders():
            return _folders(layout, root)
        case Lists():
            return _lists(layout, root)
        case Birds():
            return _birds(layout, root)
        case Flowers():
            return annotations.flowers(layout, root, names)
        case Cars():
            return annotations.cars(layout, root)
        case Patches():
            return annotations.patches(layout, root, names)
        case _:
            assert_never(layout)


def _built_in(root: Path) -> Iterator[Placement]:
    from finetune.data.public.digits import write_digits

    write_digits(root / "digits")
    yield from _in_class_folders(root / "digits", "", ())


def _folders(layout: Folders, root: Path) -> Iterator[Placement]:
    for part, place in layout.parts.items():
        folder = present(root, place)
        yield from _in_class_folders(folder, "" if part == "all" else part, layout.skip)


def _lists(layout: Lists, root: Path) -> Iterator[Placement]:
    for part, place in layout.parts.items():
        for line in _lines(root, place):
            first, _, rest = line.partition(" ")
            name = PurePosixPath(first + layout.suffix)
            label = {"folder": name.parts[0], "stem": name.stem.rpartition("_")[0], "rest": rest}
            source = inside(root, f"{layout.images}/{name}")
            yield Placement(source, part, label[layout.label], PurePosixPath(name.name))


def _birds(layout: Birds, root: Path) -> Iterator[Placement]:
    learns = _by_number(root, f"{layout.root}/train_test_split.txt")
    for number, name in _by_number(root, f"{layout.root}/images.txt").items():
        path = PurePosixPath(name)
        part = "train" if learns.get(number) == "1" else "test"
        source = inside(root, f"{layout.root}/images/{name}")
        yield Placement(source, part, path.parts[0], PurePosixPath(path.name))


def _lines(root: Path, place: str) -> list[str]:
    """The lines of a text file that say something."""
    try:
        text = present(root, place).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError("is no UTF-8 text", where=place) from error
    kept = (line.strip() for line in text.splitlines())
    return [line for line in kept if line and not line.startswith("#")]


def _by_number(root: Path, place: str) -> Mapping[str, str]:
    pairs = (line.partition(" ") for line in _lines(root, place))
    return {number: rest for number, _, rest in pairs}


def _in_class_folders(folder: Path, part: str, skip: tuple[str, ...]) -> Iterator[Placement]:
    for labelled in sorted(path for path in folder.iterdir() if path.is_dir()):
        if labelled.name.startswith(".") or labelled.name in skip:
            continue
        for path in sorted(labelled.rglob("*")):
            visible = not path.name.startswith(".") and path.name not in skip
            if visible and path.suffix.lower() in SUFFIXES and path.is_file():
                name = PurePosixPath(path.relative_to(labelled).as_posix())
                yield Placement(path, part, labelled.name, name)
