"""A look at every file before anything is learnt from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from finetune.data.decoding import UnreadableImage, digest_and_check, without_warnings
from finetune.environment import usable_cores
from finetune.text import plural, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from finetune.console import Reporter
    from finetune.data.manifest import Item

_AT_A_TIME = 1024  # files handed to the threads at once, so that an interrupt is heard soon
_THREADS = 16
_NAMED = 8


def check_files(
    root: Path, items: Sequence[Item], max_pixels: int, reporter: Reporter
) -> tuple[Item, ...]:
    """``items`` with their files' digests, or ``bad`` and the reason where a file can't be read.

    Each file is opened, digested and decoded once, in threads: Pillow and hashing let go of the
    interpreter. Items that were set aside before stay as they are.
    """
    waiting = sum(item.status == "ok" for item in items)
    checked: list[Item] = []
    with (
        without_warnings(),
        ThreadPoolExecutor(min(_THREADS, usable_cores())) as pool,
        reporter.task("Looking at every image", waiting, "images") as task,
    ):
        for batch in _batches(items):
            for item in pool.map(lambda item: _checked(root, item, max_pixels), batch):
                checked.append(item)
                task.advance(int(item.status != "dropped"))
    return tuple(checked)


def bad_lines(items: Sequence[Item], at_most: int = _NAMED) -> list[str]:
    """A line for each of the first bad items, with the reason, and one that counts the others."""
    bad = [item for item in items if item.status == "bad"]
    lines = [f"  {printable(item.path)}: {item.reason}" for item in bad[:at_most]]
    if len(bad) > at_most:
        lines.append(f"  and {plural(len(bad) - at_most, 'more file', 'more files')}")
    return lines


def _checked(root: Path, item: Item, max_pixels: int) -> Item:
    if item.status != "ok":
        return item
    try:
        return replace(item, digest=digest_and_check(root / item.path, max_pixels))
    except UnreadableImage as error:
        return replace(item, status="bad", reason=error.reason)


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), _AT_A_TIME):
        yield items[start : start + _AT_A_TIME]
