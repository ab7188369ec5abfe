"""What could be done about single images: the rows of ``fixes.csv``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from finetune.data.copies.leaks import Leak
from finetune.data.fixes import DROP, GROUP, RELABEL, Fix
from finetune.data.manifest import Item
from finetune.inspection.findings import Copies, Problem


def suggest(
    items: Sequence[Item],
    copies: Sequence[Copies],
    leaks: Sequence[Leak],
    problems: Sequence[Problem],
) -> list[Fix]:
    """A row for each problem of an image; at most one of an image's rows says what to do.

    Sorted by path. What a person has to judge (a blurred picture, a conflict without a majority)
    has no suggestion.
    """
    ordered = [
        *_of_files(items),
        *_of_leaks(items, copies, leaks),
        *_of_conflicts(items, copies),
        *_of_copies(items, copies),
        *(Fix(p.path, p.message, DROP if p.kind == "blank" else "") for p in problems),
    ]
    return sorted(_one_action_each(ordered), key=lambda fix: fix.path)


def _of_files(items: Sequence[Item]) -> Iterator[Fix]:
    for item in items:
        if item.status == "bad":
            yield Fix(item.path, item.reason, DROP)


def _of_conflicts(items: Sequence[Item], copies: Sequence[Copies]) -> Iterator[Fix]:
    """The label of more than half of the copies is taken for the right one."""
    for each in copies:
        mine = [items[place] for place in each.places]
        labels = Counter(item.label for item in mine)
        usual, count = labels.most_common(1)[0]
        first = mine[0]
        second = next((item for item in mine if item.label != first.label), first)
        for item in mine if len(labels) > 1 else ():
            other = first if item.label != first.label else second
            problem = f"the same picture as {other.path}, which is in class {other.label}"
            clear = 2 * count > len(mine) and item.label != usual
            yield Fix(item.path, problem, *((RELABEL, usual) if clear else ()))


def _of_leaks(
    items: Sequence[Item], copies: Sequence[Copies], leaks: Sequence[Leak]
) -> Iterator[Fix]:
    """Each copy in an earlier part once, with the first leak that it has to do with."""
    clusters = _clusters(copies)
    told: set[int] = set()
    done: set[tuple[int, str]] = set()
    for leak in leaks:
        later, split = items[leak.second], items[leak.first].split
        fresh = {(number, split) for number in clusters.get(leak.second, ())} - done
        done |= fresh
        same = {p for number, _ in fresh for p in copies[number].places} | {leak.first}
        earlier = {place for place in same - told if items[place].split == split}
        told |= earlier
        for place in sorted(earlier):
            yield Fix(items[place].path, f"the same picture as {later.path} of {later.split}", DROP)


def _clusters(copies: Sequence[Copies]) -> dict[int, list[int]]:
    """The numbers of the clusters that each place is in."""
    clusters: dict[int, list[int]] = defaultdict(list)
    for number, each in enumerate(copies):
        for place in each.places:
            clusters[place].append(number)
    return clusters


def _of_copies(items: Sequence[Item], copies: Sequence[Copies]) -> Iterator[Fix]:
    for each in copies:
        first, *others = (items[place] for place in each.places)
        for other in others:
            if (first.label, first.split) != (other.label, other.split):
                continue  # a conflict or a leak, which has a row of its own
            if each.kind == "exact":
                yield Fix(other.path, f"the same file as {first.path}", DROP)
            else:
                yield Fix(other.path, f"nearly the same as {first.path}", GROUP, first.path)


def _one_action_each(fixes: Sequence[Fix]) -> Iterator[Fix]:
    decided = set()
    for fix in fixes:
        if fix.action and fix.path in decided:
            continue
        if fix.action:
            decided.add(fix.path)
        yield fix
