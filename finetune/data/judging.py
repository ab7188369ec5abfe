"""Whether the labels and their counts can be learnt from: pure functions, messages as results."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from finetune.data.parts.groups import NEAR
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from finetune.data.manifest import Item

_SHOWN = 8


def label_faults(items: Sequence[Item]) -> Iterator[str]:
    """Labels that differ in blanks, letter case or Unicode form alone: one class spelt twice.

    Single letters are left alone: pictures of A and a are two classes.
    """
    counts = Counter(item.label for item in items if item.status == "ok")
    spellings = defaultdict(list)
    for label in sorted(counts):
        spellings[_plain(label)].append(label)
    for same in spellings.values():
        if len(same) > 1 and any(len(label) > 1 for label in same):
            told = " and ".join(
                f"{printable(label)!r} ({plural(counts[label], 'image')})" for label in same
            )
            yield f"labels that differ only in letter case or blanks: {told}"


def count_faults(items: Sequence[Item], classes: Collection[str]) -> Iterator[str]:
    """No image, one class in all, or fewer images than classes."""
    counts = Counter(item.label for item in items if item.status == "ok")
    total = sum(counts.values())
    if not total:
        yield "there is no image that can be read" if items else "there is no image"
        return
    if len(counts) == 1:
        (only,) = counts
        yield (
            f"one class in all: {printable(only)} ({plural(total, 'image')}); telling classes "
            "apart takes two"
        )
    if total < len(classes):
        yield f"{plural(total, 'image')} for {len(classes):,} classes; each needs three or more"


def empty_classes(items: Sequence[Item], classes: Collection[str]) -> list[str]:
    """The classes that have no image which is ok, sorted."""
    return sorted(set(classes) - {item.label for item in items if item.status == "ok"})


def coverage_faults(items: Sequence[Item]) -> Iterator[str]:
    """Classes that val or test ask for and train doesn't teach."""
    learnt = _labels(items, "train")
    for part in ("val", "test"):
        asked = Counter(i.label for i in items if i.status == "ok" and i.split == part)
        unknown = sorted(set(asked) - learnt)
        for label in unknown[:_SHOWN]:
            count = plural(asked[label], "image")
            yield f"class {printable(label)}: {count} in {part}, none in train"
        if len(unknown) > _SHOWN:
            yield f"and {len(unknown) - _SHOWN:,} more such classes in {part}"


def coverage_warnings(items: Sequence[Item]) -> Iterator[str]:
    """Classes of train that val or test has no image of."""
    learnt = _labels(items, "train")
    for part in ("val", "test"):
        absent = sorted(learnt - _labels(items, part))
        if absent and len(absent) < len(learnt):
            count = plural(len(absent), "class has", "classes have")
            yield f"{count} no image in {part}, so nothing is known of them there: {listed(absent)}"


def conflicts(items: Sequence[Item], copies: Sequence[Sequence[int]]) -> Iterator[str]:
    """Pictures that carry different labels; ``copies`` are places of items that show the same."""
    found = [cluster for cluster in copies if len({items[place].label for place in cluster}) > 1]
    if found:
        first = items[found[0][0]]
        other = next(i for i in (items[p] for p in found[0]) if i.label != first.label)
        count = plural(len(found), "picture stands", "pictures stand")
        told = [f"{item.path} ({item.label})" for item in (first, other)]
        yield (
            f"{count} in several classes, so that a label is wrong: {listed(told)}. "
            "`finetune check` shows all of them."
        )


def straddling(items: Sequence[Item]) -> Iterator[str]:
    """Groups that DATA itself, or an earlier division, puts on both sides of a split."""
    parts: dict[str, set[str]] = defaultdict(set)
    for item in items:
        if item.group and item.status == "ok" and not item.group.startswith(NEAR):
            parts[item.group].add(item.split)
    both = sorted(group for group, seen in parts.items() if len(seen) > 1)
    if both:
        count = plural(len(both), "group stands", "groups stand")
        yield (
            f"{count} in more than one of the given splits, so that the scores may be too "
            f"good: {listed(both)}"
        )


def _labels(items: Sequence[Item], part: str) -> set[str]:
    return {item.label for item in items if item.status == "ok" and item.split == part}


def _plain(label: str) -> str:
    return unicodedata.normalize("NFC", " ".join(label.split())).casefold()
