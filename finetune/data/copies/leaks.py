"""Pictures that stand in two parts: what is learnt from or chosen on is then judged on too."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finetune.data.manifest import PARTS
from finetune.errors import DataError
from finetune.text import listed, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetune.console import Reporter
    from finetune.data.manifest import Item

_ORDER = (("val", "train"), ("test", "train"), ("test", "val"))

_MEND = (
    "Mend the splits; or let the copies go that would be learnt from, with "
    "--set data.on_leak=drop; or score them all the same, with --set data.on_leak=warn."
)


@dataclass(frozen=True, slots=True)
class Leak:
    """The same picture, all but a few pixels, in two parts.

    Attributes:
        first: Place of the item in the earlier part: ``train`` before ``val`` before ``test``.
        second: Place of the item in the later part.
        kind: ``exact`` for the same bytes, else ``near``.
    """

    first: int
    second: int
    kind: str


def find_leaks(items: Sequence[Item], clusters: Sequence[Sequence[int]]) -> list[Leak]:
    """For each image of val and test a leak for each earlier part that it has a copy in.

    Args:
        items: With their parts.
        clusters: Places of items that show the same picture.
    """
    found = []
    for cluster in clusters:
        parts = _by_part(items, cluster)
        for later, earlier in _ORDER:
            if parts[earlier]:
                found += [_leak(items, parts[earlier], place) for place in parts[later]]
    return sorted(found, key=lambda leak: (leak.second, leak.first))


def treat_leaks(
    items: Sequence[Item], clusters: Sequence[Sequence[int]], on_leak: str, reporter: Reporter
) -> list[Item]:
    """Items after ``on_leak``: ``warn`` marks later copies, ``drop`` lets earlier ones go.

    Raises:
        DataError: There are leaks and ``on_leak`` is ``error``.
    """
    leaks = find_leaks(items, clusters)
    if not leaks:
        return list(items)
    told = "\n".join([_count(items, leaks), *leak_lines(items, leaks)])
    if on_leak == "error":
        raise DataError(told, mend=_MEND)
    if on_leak == "drop":
        reporter.warn(f"{told}\nThe copies in the earlier parts are left out.")
        return _without_earlier(items, clusters)
    reporter.warn(f"{told}\nThe accuracy is told with and without them.")
    return _marked(items, leaks)


def _by_part(items: Sequence[Item], cluster: Sequence[int]) -> dict[str, list[int]]:
    parts = defaultdict(list)
    for place in cluster:
        if items[place].status == "ok":
            parts[items[place].split].append(place)
    return parts


def _leak(items: Sequence[Item], earlier: Sequence[int], place: int) -> Leak:
    same = [other for other in earlier if items[other].digest == items[place].digest]
    return Leak((same or earlier)[0], place, "exact" if same else "near")


def leak_lines(items: Sequence[Item], leaks: Sequence[Leak], at_most: int = 4) -> list[str]:
    """A line for each of the first leaks, and one that counts the others."""
    lines = []
    for leak in leaks[:at_most]:
        first, second = items[leak.first], items[leak.second]
        word = "the same file as" if leak.kind == "exact" else "nearly the same picture as"
        lines.append(f"  {listed([second.path])} is {word} {listed([first.path])}")
    more = len(leaks) - at_most
    return [*lines, f"  and {more:,} more"] if more > 0 else lines


def _count(items: Sequence[Item], leaks: Sequence[Leak]) -> str:
    pairs = Counter((items[leak.second].split, items[leak.first].split) for leak in leaks)
    told = ", ".join(
        f"{plural(count, 'image')} of {later} {'is' if count == 1 else 'are'} in {earlier} too"
        for (later, earlier), count in sorted(pairs.items())
    )
    return f"{told}, so that scores may be too good:"


def _without_earlier(items: Sequence[Item], clusters: Sequence[Sequence[int]]) -> list[Item]:
    """A published test part stays whole; what is learnt from gives way."""
    left = list(items)
    for cluster in clusters:
        parts = _by_part(items, cluster)
        latest = max(parts, key=PARTS.index, default="")
        for place in (place for part in parts if part != latest for place in parts[part]):
            twin = items[parts[latest][0]].path
            reason = f"a copy of it is in {latest}: {twin}"
            left[place] = replace(items[place], status="dropped", reason=reason)
    return left


def _marked(items: Sequence[Item], leaks: Sequence[Leak]) -> list[Item]:
    marked = list(items)
    for leak in reversed(leaks):
        marked[leak.second] = replace(items[leak.second], copy_of=items[leak.first].path)
    return marked
