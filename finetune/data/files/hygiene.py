"""A look at every file before anything is learnt from it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finetune.data.files.decoding import UnreadableImage, without_warnings
from finetune.data.files.kept_looks import KeptLooks
from finetune.data.files.looking import Look, look_at
from finetune.environment import usable_cores
from finetune.text import plural, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from finetune.console import Reporter, Task
    from finetune.data.manifest import Item

_AT_A_TIME = 1024  # files handed to the threads at once, so that an interrupt is heard soon
_KEPT_EVERY = 8_192  # looks, so that being killed costs little
_THREADS = 16
_NAMED = 8

States = dict[str, os.stat_result]


@dataclass(frozen=True)
class Looked:
    """What looking at every file came to.

    Attributes:
        items: As given, with digests; ``bad`` and the reason where a file can't be read.
        looks: Of the items that are ok, by path.
    """

    items: tuple[Item, ...]
    looks: Mapping[str, Look]


def check_files(
    root: Path, items: Sequence[Item], max_pixels: int, reporter: Reporter, *, afresh: bool = False
) -> Looked:
    """Look at the file of every item that is ``ok``; the others stay as they are.

    Each file is opened, digested and decoded once, in threads: Pillow and hashing let go of the
    interpreter. What was seen is kept, so that files that stayed as they were are not opened
    next time; ``afresh`` opens them all the same.
    """
    waiting = [item for item in items if item.status == "ok"]
    states = _states(root, waiting)
    kept = KeptLooks.of(root)
    looks = {} if afresh else _small_enough(kept.read(states), max_pixels)
    reasons: dict[str, str] = {}
    left = [item.path for item in waiting if item.path not in looks]
    with reporter.task("Looking at every image", len(waiting), "images") as task:
        task.advance(len(waiting) - len(left))
        _look(root, left, max_pixels, task, _Sink(kept, states, looks, reasons))
    return Looked(tuple(_told(item, looks, reasons) for item in items), looks)


@dataclass
class _Sink:
    """Where looks go to, and now and then to the disk."""

    kept: KeptLooks
    states: States
    looks: dict[str, Look]
    reasons: dict[str, str]

    def __post_init__(self) -> None:
        self._fresh: dict[str, Look] = {}

    def take(self, path: str, result: Look | str) -> None:
        if isinstance(result, str):
            self.reasons[path] = result
            return
        self._fresh[path] = result
        if len(self._fresh) == _KEPT_EVERY:
            self.flush()

    def flush(self) -> None:
        self.kept.write(self._fresh, self.states)
        self.looks |= self._fresh
        self._fresh = {}


def _look(root: Path, paths: Sequence[str], max_pixels: int, task: Task, sink: _Sink) -> None:
    def look(path: str) -> Look | str:
        try:
            return look_at(root / path, max_pixels)
        except UnreadableImage as error:
            return error.reason

    with without_warnings(), ThreadPoolExecutor(min(_THREADS, usable_cores())) as pool:
        try:
            for batch in _batches(paths):
                # One by one: an interrupt within a batch keeps what was seen of it.
                for path, result in zip(batch, pool.map(look, batch), strict=True):
                    sink.take(path, result)
                    task.advance()
        finally:
            sink.flush()


def _told(item: Item, looks: Mapping[str, Look], reasons: Mapping[str, str]) -> Item:
    if item.status != "ok":
        return item
    if item.path in looks:
        return replace(item, digest=looks[item.path].digest)
    return replace(item, status="bad", reason=reasons[item.path])


def bad_lines(items: Sequence[Item], at_most: int = _NAMED) -> list[str]:
    """A line for each of the first bad items, with the reason, and one that counts the others."""
    bad = [item for item in items if item.status == "bad"]
    lines = [f"  {printable(item.path)}: {item.reason}" for item in bad[:at_most]]
    if len(bad) > at_most:
        lines.append(f"  and {plural(len(bad) - at_most, 'more file', 'more files')}")
    return lines


def _states(root: Path, items: Sequence[Item]) -> States:
    states = {}
    for item in items:
        with suppress(OSError, ValueError):
            states[item.path] = os.stat(root / item.path)  # noqa: PTH116 - a million of them
    return states


def _small_enough(looks: dict[str, Look], max_pixels: int) -> dict[str, Look]:
    return {path: look for path, look in looks.items() if look.width * look.height <= max_pixels}


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(paths), _AT_A_TIME):
        yield paths[start : start + _AT_A_TIME]
