"""A data set that grows: images that were divided before keep their parts."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.data.parts.earlier import Entry
from finetune.data.sources.indexing import printable_path
from finetune.errors import DataError
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from finetune.console import Reporter
    from finetune.data.manifest import Item

_SHOWN = 8


@dataclass(frozen=True)
class Kept:
    """What an earlier division says of DATA.

    Attributes:
        parts: Of each image, ``[N]``; empty: it is new, or not ok.
        moved: Places of the images that are known by their bytes alone, with their paths then.
        copies: Places of new images with the bytes of one that is still there, with its path;
            they get its part.
        gone: Paths that were divided then and aren't in DATA now.
    """

    parts: list[str]
    moved: dict[int, str]
    copies: dict[int, str]
    gone: list[str]

    def tell(self, items: Sequence[Item], reporter: Reporter) -> None:
        """Say how many images keep their parts, are new, moved or gone."""
        ok = sum(item.status == "ok" for item in items)
        known = sum(map(bool, self.parts)) - len(self.copies)
        reporter.say(
            f"By data.splits {plural(known, 'image keeps its part', 'images keep their parts')}; "
            f"{ok - known:,} {'is' if ok - known == 1 else 'are'} new."
        )
        if self.moved:
            told = [f"{items[place].path} (was {path})" for place, path in self.moved.items()]
            count = plural(len(told), "image is", "images are")
            reporter.say(f"{count} known by the file's bytes, not by its path: {listed(told)}")
        if self.copies:
            told = [f"{items[at].path} (a copy of {path})" for at, path in self.copies.items()]
            count = plural(len(told), "new image goes", "new images go")
            reporter.say(f"{count} where an image of the same bytes is: {listed(told)}")
        if self.gone:
            count = plural(len(self.gone), "image")
            reporter.warn(f"{count} of data.splits not in DATA any more: {listed(self.gone)}")


def known_parts(items: Sequence[Item], entries: Sequence[Entry], root: Path) -> Kept:
    """The parts that ``items`` had: by path, else by the bytes of the file.

    Bytes that stood in two parts say nothing. What has the bytes of an image that is gone was
    moved; else it is a copy. ``root`` is what the paths of both are relative to.
    """
    base = str(root.absolute())
    places = {_key(base, item.path): place for place, item in enumerate(items)}
    listed_at = {_present(base, entry.path, places): entry for entry in entries}
    there = {e.path for key, e in listed_at.items() if _unchanged(e, items, places.get(key))}
    by_digest = _by_digest(sorted(entries, key=lambda entry: entry.path in there))
    parts, moved, copies = [""] * len(items), dict[int, str](), dict[int, str]()
    for key, place in places.items():
        item, entry = items[place], listed_at.get(key)
        if item.status != "ok":
            continue
        if entry is None and (entry := by_digest.get(item.digest)):
            (copies if entry.path in there else moved)[place] = entry.path
        parts[place] = entry.part if entry else ""
    found = {items[place].digest for place in moved}
    gone = [e.path for key, e in listed_at.items() if key not in places and e.digest not in found]
    return Kept(parts, moved, copies, gone)


def check_agreement(
    items: Sequence[Item], parts: Sequence[str], given: Collection[str], file: Path
) -> None:
    """See to it that DATA's own parts and the earlier ones don't contradict each other.

    A part that DATA lacks may have been carved out of its train part.

    Raises:
        DataError: They do.
    """
    own = set(given) - {"train"}
    faults = [
        f"{printable(item.path)}: {part} there, {item.split} in DATA"
        for item, part in zip(items, parts, strict=True)
        if part and item.split and part != item.split and {part, item.split} & own
    ]
    if faults:
        more = [f"and {len(faults) - _SHOWN:,} more"] if len(faults) > _SHOWN else []
        raise DataError(
            "\n".join(["DATA brings splits of its own that differ:", *faults[:_SHOWN], *more]),
            where=printable_path(file),
            mend="Leave data.splits away, or take DATA's own splits away.",
        )


def ties(items: Sequence[Item], parts: Sequence[str]) -> dict[int, str]:
    """New images whose groups hold images of two earlier parts: by place, why they can't stay."""
    first: dict[str, dict[str, str]] = defaultdict(dict)
    for item, part in zip(items, parts, strict=True):
        if part and item.group:
            there = first[item.group]
            there[part] = min(item.path, there.get(part, item.path))
    reasons = {group: _reason(there) for group, there in first.items() if len(there) > 1}
    return {
        place: reasons[item.group]
        for place, (item, part) in enumerate(zip(items, parts, strict=True))
        if not part and item.status == "ok" and item.group in reasons
    }


def _reason(there: dict[str, str]) -> str:
    (one, path), (other, second), *_ = sorted(there.items())
    return f"ties two parts together: {printable(path)} in {one}, {printable(second)} in {other}"


def _key(base: str, path: str) -> str:
    return os.path.normpath(os.path.join(base, path))  # noqa: PTH118 - a Path takes ten times as long


def _present(base: str, path: str, places: dict[str, int]) -> str:
    key = _key(base, path)
    if key in places or "\\" not in path:
        return key
    return _key(base, path.replace("\\", "/"))  # a table that was made on Windows


def _unchanged(entry: Entry, items: Sequence[Item], place: int | None) -> bool:
    """Whether the image is there, and not another one under its name."""
    return place is not None and items[place].digest == entry.digest


def _by_digest(entries: Sequence[Entry]) -> dict[str, Entry]:
    """An entry for the digests that stand in one part."""
    first: dict[str, Entry] = {}
    doubtful: set[str] = {""}
    for entry in entries:
        if first.setdefault(entry.digest, entry).part != entry.part:
            doubtful.add(entry.digest)
    return {digest: entry for digest, entry in first.items() if digest not in doubtful}
