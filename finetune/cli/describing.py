"""A descriptor of a public data set in words, with what is unverified marked so."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from finetune.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from finetune.data.public.descriptors import Descriptor, RemoteFile

_WIDTH = 80
_INDENT = 10


def described(descriptor: Descriptor) -> Iterator[str]:
    """All that it says, a line each, in 80 columns but for addresses and digests."""
    mark = _Marks(descriptor.unverified)
    yield from _fact("name", descriptor.name)
    yield from _fact("title", descriptor.title)
    yield from _fact("task", descriptor.task)
    yield from _fact("images", f"{descriptor.images:,}{mark('images')}")
    yield from _fact("size", f"{_size(descriptor)}, {descriptor.mode}{mark('image_size', 'mode')}")
    yield from _fact("classes", f"{_classes(descriptor)}{mark('classes')}")
    yield from _fact("parts", f"{_parts(descriptor)}{mark('splits')}")
    yield from _fact("groups", f"{descriptor.group or 'none known'}{mark('group')}")
    yield from _fact("source", descriptor.source)
    licence = f"{descriptor.licence}{mark('licence')}. {descriptor.licence_note}"
    yield from _fact("licence", licence)
    yield from _fact("homepage", descriptor.homepage)
    yield from _fact("cite", descriptor.citation)
    for file in descriptor.files:
        yield from _file(file)
    if descriptor.by_hand:
        yield from _fact("by hand", descriptor.by_hand)
    yield ""
    yield f"Fetch it: finetune datasets fetch {descriptor.name}"


class _Marks:
    """Says of facts whether they are unverified."""

    def __init__(self, unverified: tuple[str, ...]) -> None:
        self.unverified = unverified

    def __call__(self, *facts: str) -> str:
        return " (unverified)" if set(facts) & set(self.unverified) else ""


def _fact(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{name:{_INDENT}}{text.strip()}",
        _WIDTH,
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _file(file: RemoteFile) -> Iterator[str]:
    mark = _Marks(file.unverified)
    length = f"{file.length:,} bytes{mark('bytes')}" if file.length else "length unknown"
    yield from _fact("file", f"{file.name}, {length}, as {file.source} has it")
    for address in file.addresses:
        yield f"{'':{_INDENT}}{address}{mark('addresses')}"
    if not file.addresses:
        yield f"{'':{_INDENT}}no address: by hand only"
    digest = f"{file.digest}{mark('digest')}" if file.digest else "no digest is known"
    yield f"{'':{_INDENT}}{digest}"


def _size(descriptor: Descriptor) -> str:
    if descriptor.image_size is None:
        return "varying"
    width, height = descriptor.image_size
    return f"{width} x {height} pixels"


def _classes(descriptor: Descriptor) -> str:
    if isinstance(descriptor.classes, int):
        return f"{descriptor.classes}, named by the archive"
    counts = descriptor.classes if isinstance(descriptor.classes, dict) else {}
    names = [f"{name} {counts[name]:,}" if counts else name for name in descriptor.class_names]
    return f"{plural(descriptor.class_count, 'class', 'classes')}: {', '.join(names)}"


def _parts(descriptor: Descriptor) -> str:
    parts = [f"{part} {count:,}" for part, count in (descriptor.splits or {}).items()]
    return ", ".join(parts) or "none; `finetune train` divides it"
