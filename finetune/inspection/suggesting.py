"""What could be done about single images: the rows of ``fixes.csv``."""

from __future__ import annotations

from collections import Counter
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
        labels = Counter(items[place].label for place in each.places)
        usual, count = labels.most_common(1)[0]
        for place in each.places if len(labels) > 1 else ():
            other = next(items[p] for p in each.places if items[p].label != items[place].label)
            problem = f"the same picture as {other.path}, which is in class {other.label}"
            clear = 2 * count > len(each.places) and items[place].label != usual
            yield Fix(items[place].path, problem, *((RELABEL, usual) if clear else ()))


def _of_leaks(
    items: Sequence[Item], copies: Sequence[Copies], leaks: Sequence[Leak]
) -> Iterator[Fix]:
    """All copies in the earlier part: a leak names the first of them."""
    for leak in leaks:
        earlier, later = items[leak.first], items[leak.second]
        same = {p for each in copies if leak.second in each.places for p in each.places}
        for place in sorted(same | {leak.first}):
            if items[place].split == earlier.split:
                problem = f"the same picture as {later.path} of {later.split}"
                yield Fix(items[place].path, problem, DROP)


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
