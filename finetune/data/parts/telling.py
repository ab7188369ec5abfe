"""What is told of a division: classes that are not judged, groups, and how near the shares are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.data.parts.filling import Shares
from finetune.data.parts.pool import FEWEST
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from finetune.data.manifest import Item


def held_back(items: Sequence[Item]) -> Iterator[str]:
    """Warnings of classes that stay in train whole: of too few images, or of too few groups."""
    counts = Counter(item.label for item in items)
    units = _units(items)
    small = sorted(label for label, count in counts.items() if count < FEWEST)
    if small:
        count = plural(len(small), "class", "classes")
        yield (
            f"{count} of one or two images, kept in train whole and so not judged: {listed(small)}"
        )
    tight = sorted(label for label in counts if units[label] < FEWEST <= counts[label])
    if tight:
        count = plural(len(tight), "class", "classes")
        told = [f"{label} ({plural(units[label], 'group')})" for label in tight]
        yield (
            f"{count} of one or two groups, kept in train whole and so not judged: {listed(told)}"
        )


def groups_told(
    items: Sequence[Item], parts: Sequence[str], shares: Shares, *, stratify: bool
) -> Iterator[str]:
    """How many groups are kept whole, and how near the shares are; nothing where there are none.

    Args:
        items: What was divided.
        parts: Of each of them.
        shares: That were asked for.
        stratify: Tell of the class that is farthest off, too.
    """
    sizes = Counter(item.group for item in items if item.group)
    groups = [size for size in sizes.values() if size > 1]
    if not groups:
        return
    units = _units(items)
    judged = {label for label, count in units.items() if count >= FEWEST} if stratify else set()
    asked = (("val", shares.val), ("test", shares.test))
    told = [_Share(part, share).told(items, parts, judged) for part, share in asked if share]
    yield (
        f"{plural(sum(groups), 'image')} in {plural(len(groups), 'group')}, kept whole"
        f"{': ' if told else ''}{', '.join(told)}."
    )


@dataclass(frozen=True)
class _Share:
    part: str
    asked: float

    def told(self, items: Sequence[Item], parts: Sequence[str], judged: set[str]) -> str:
        sizes = Counter(item.label for item in items)
        has = Counter(i.label for i, part in zip(items, parts, strict=True) if part == self.part)
        off = {label: abs(has[label] / sizes[label] - self.asked) for label in sorted(judged)}
        whole = f"{self.part} {sum(has.values()) / len(items):.1%} ({self.asked:.1%} asked"
        if not off:
            return f"{whole})"
        worst = max(off, key=lambda label: off[label])
        return f"{whole}; {has[worst] / sizes[worst]:.1%} of {printable(worst)})"


def _units(items: Sequence[Item]) -> dict[str, int]:
    """How many groups each class lies in; an image that stands alone is one."""
    groups: dict[str, set[str]] = defaultdict(set)
    alone: Counter[str] = Counter()
    for item in items:
        if item.group:
            groups[item.label].add(item.group)
        else:
            alone[item.label] += 1
    return {label: alone[label] + len(groups[label]) for label in alone.keys() | groups.keys()}
