"""How many images a fetched data set has, against what its descriptor says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.data.files.decoding import SUFFIXES
from finetune.data.public.placing import folder_name
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from finetune.data.public.descriptors import Descriptor

_NAMED = 8


@dataclass(frozen=True)
class Counts:
    """Images by part and class folder; the part is empty where there are none."""

    images: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, tree: Path, *, parts: bool) -> Counts:
        """Those of a folder of class folders, or with ``parts`` of one of part folders."""
        counts: Counter[tuple[str, str]] = Counter()
        for path in tree.rglob("*"):
            place = path.relative_to(tree).parts
            if path.suffix.lower() in SUFFIXES and path.is_file():
                counts[(place[0], place[1]) if parts else ("", place[0])] += 1
        return cls(counts)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.images.values())

    def by_part(self) -> Counter[str]:
        """Of each part."""
        return self._summed(0)

    def by_class(self) -> Counter[str]:
        """Of each class, over all parts."""
        return self._summed(1)

    def _summed(self, place: int) -> Counter[str]:
        sums: Counter[str] = Counter()
        for key, count in self.images.items():
            sums[key[place]] += count
        return sums


def differences(descriptor: Descriptor, counts: Counts) -> list[str]:
    """Where the counts are not what the descriptor says, a line each."""
    return list(_differences(descriptor, counts))


def _differences(descriptor: Descriptor, counts: Counts) -> Iterator[str]:
    if counts.total != descriptor.images:
        yield f"{counts.total:,} images, and not {descriptor.images:,}"
    found = counts.by_part()
    for part, expected in (descriptor.splits or {}).items():
        if found[part] != expected:
            yield f"{part}: {found[part]:,} images, and not {expected:,}"
    classes = counts.by_class()
    if len(classes) != descriptor.class_count:
        yield f"{plural(len(classes), 'class', 'classes')}, and not {descriptor.class_count:,}"
    if descriptor.class_names:
        yield from _of_names({folder_name(name) for name in descriptor.class_names}, set(classes))
    if isinstance(descriptor.classes, dict):
        yield from _of_classes(descriptor.classes, classes)


def _of_names(expected: set[str], found: set[str]) -> Iterator[str]:
    if absent := sorted(expected - found):
        yield f"without the classes {listed(absent)}"
    if strange := sorted(found - expected):
        yield f"with classes that the card has not: {listed(strange)}"


def _of_classes(expected: Mapping[str, int], found: Counter[str]) -> Iterator[str]:
    for name, count in list(expected.items()):
        if found[folder_name(name)] not in (0, count):
            yield f"{printable(name)}: {found[folder_name(name)]:,} images, and not {count:,}"
