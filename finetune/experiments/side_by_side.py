"""Trainings that only solve heads, several at once: each of them keeps one core busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from threadpoolctl import threadpool_limits

from finetune.console import Task
from finetune.data.manifest import Item
from finetune.environment import usable_cores
from finetune.model.head import classifier
from finetune.training.heads import ONE_THREAD
from finetune.training.setting import Setting

_MOST = 8

Result = TypeVar("Result")


def solved_at_once(setting: Setting, items: Sequence[Item]) -> int:
    """How many heads to solve at once on ``items``: one a core, 8 at most.

    One after another where the features are so many that a single solution takes all cores.
    """
    numbers = len(items) * classifier(setting.pristine).in_features
    return min(_MOST, usable_cores()) if numbers <= ONE_THREAD else 1


def side_by_side(works: Sequence[Callable[[], Result]], at_once: int, task: Task) -> list[Result]:
    """What each of ``works`` gives, in their order; ``task`` is told of each that is done.

    The first that fails ends all: what has not begun does not begin.
    """
    # Around all: the limits that works set and lift are the process's, not the thread's.
    with threadpool_limits(1 if at_once > 1 else None, "blas"):
        pool = ThreadPoolExecutor(at_once)
        try:
            futures = [pool.submit(work) for work in works]
            for done in as_completed(futures):
                done.result()
                task.advance()
        finally:
            pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]
