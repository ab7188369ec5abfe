"""Which images belong together, as the recipe asks for it: joined groups, and what is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finetune.data.parts.bursts import Taken, bursts
from finetune.data.parts.groups import Groups, by_name, joined, near_groups
from finetune.data.parts.matching import matches
from finetune.errors import DataError
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from finetune.console import Reporter
    from finetune.data.manifest import Item
    from finetune.recipe.schema import GroupOptions


@dataclass(frozen=True)
class Ties:
    """What else than DATA's table tells that images belong together, by places in the items.

    Attributes:
        clusters: Near-duplicates of each other.
        taken: When each image was taken, ``[N]``; None: nothing is known of any.
    """

    clusters: Sequence[Sequence[int]] = ()
    taken: Sequence[Taken | None] | None = None


def sources(
    items: Sequence[Item], option: str | GroupOptions, ties: Ties, reporter: Reporter
) -> list[Groups] | None:
    """The groups that are joined to DATA's own; None: there are to be no groups at all.

    Raises:
        DataError: The recipe's pattern or time finds nothing, or one group of all images; or the
            pattern takes too long.
    """
    if option == "none":
        if any(item.group for item in items):
            reporter.say("The groups of DATA's table are not used: data.group is none.")
        return None
    near = near_groups(items, ties.clusters)
    if isinstance(option, str):
        return [near]
    if option.pattern is not None:
        return [_matched(items, option.pattern, reporter), near]
    assert option.exif is not None
    return [_bursts(items, ties.taken, option.exif, reporter), near]


def gathered(items: Sequence[Item], found: Sequence[Groups] | None) -> list[Item]:
    """``items`` with their joined groups; without any where ``found`` is None."""
    if found is None:
        return [replace(item, group="") if item.group else item for item in items]
    if not any(found) and not any(item.group for item in items):
        return list(items)
    return joined(items, found)


def _matched(items: Sequence[Item], pattern: str, reporter: Reporter) -> Groups:
    try:
        found = matches(pattern, [item.path for item in items])
    except TimeoutError as error:
        raise _fault(
            "pattern",
            f"{printable(pattern)!r} takes more than {error} on {plural(len(items), 'path')}",
            "Repeat no part that repeats something itself, such as (a+)+.",
        ) from error
    missed = [item.path for item, match in zip(items, found, strict=True) if not match]
    mend = f"It is searched in the path below DATA, such as {printable(items[0].path)}."
    if len(missed) == len(items):
        raise _fault("pattern", f"{printable(pattern)!r} is found in no path", mend)
    groups = by_name(found)
    if len(groups) == 1 and not missed:
        what = f"{printable(pattern)!r} puts every image into one group, {listed([found[0]])}"
        raise _fault("pattern", what, mend)
    if missed:
        count = plural(len(missed), "image has", "images have")
        reporter.warn(
            f"{count} no match of data.group.pattern, so that it joins them to none: "
            f"{listed(missed)}"
        )
    return groups


def _bursts(
    items: Sequence[Item], taken: Sequence[Taken | None] | None, minutes: float, reporter: Reporter
) -> Groups:
    taken = taken or [None] * len(items)
    timeless = [i.path for i, t in zip(items, taken, strict=True) if t is None and i.status == "ok"]
    ok = sum(item.status == "ok" for item in items)
    if len(timeless) == ok:
        mend = "Programs that send or edit pictures often drop it. Leave data.group as auto."
        raise _fault("exif", "no image says when it was taken (EXIF DateTimeOriginal)", mend)
    groups = bursts(taken, [item.path for item in items], minutes)
    if len(groups) == 1 and len(next(iter(groups.values()))) == ok:
        raise _fault("exif", f"{minutes:g} minutes put every image into one group", "Take fewer.")
    if timeless:
        count = plural(len(timeless), "image")
        reporter.warn(f"{count} without a time (EXIF), and so in no burst: {listed(timeless)}")
    if not any(_joins(places, items) for places in groups.values()):
        reporter.warn(
            f"no two images of one camera were taken within {minutes:g} "
            f"{'minute' if minutes == 1 else 'minutes'} of each other, so that data.group.exif "
            "joins none"
        )
    return groups


def _joins(places: Sequence[int], items: Sequence[Item]) -> bool:
    return sum(items[place].status == "ok" for place in places) > 1


def _fault(key: str, found: str, mend: str) -> DataError:
    return DataError(found, where=f"data.group.{key}", mend=mend)
