"""Learning rates over a phase: pure functions of the step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

from finetune.recipe.schema import ScheduleOptions

Factor = Callable[[int], float]
"""From a step, counted from 0, to the factor of the peak rate that it takes."""

_ONE_CYCLE_START = 0.04  # fastai starts a cycle at a 25th of its peak (div=25)


def schedule(options: ScheduleOptions, total: int) -> Factor:
    """The schedule that ``options`` asks for over ``total`` steps.

    The warm-up rises linearly and reaches the peak with its last step; the shape covers the steps
    after it. Steps past ``total`` keep the last value.
    """
    warmup = round(options.warmup * total)
    shape = _SHAPES[options.name]

    def factor(step: int) -> float:
        step = min(step, max(total - 1, 0))
        if step < warmup:
            return (step + 1) / warmup
        return shape(options, (step - warmup) / max(total - warmup, 1))

    return factor


def _constant(_options: ScheduleOptions, _progress: float) -> float:
    return 1.0


def _linear(options: ScheduleOptions, progress: float) -> float:
    return 1.0 + (options.final - 1.0) * progress


def _cosine(options: ScheduleOptions, progress: float) -> float:
    """Half a cosine from 1 to ``final`` (Loshchilov & Hutter 2017, without restarts)."""
    return _between(1.0, options.final, progress)


def _one_cycle(options: ScheduleOptions, progress: float) -> float:
    """A rise over the first quarter, then a fall, both half cosines (Smith 2018; fastai)."""
    peak = 0.25
    if progress < peak:
        return _between(_ONE_CYCLE_START, 1.0, progress / peak)
    return _between(1.0, options.final, (progress - peak) / (1.0 - peak))


def _step(options: ScheduleOptions, progress: float) -> float:
    return options.gamma ** bisect_right(options.milestones or [], progress)


def _between(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * progress)) / 2.0


_SHAPES: dict[str, Callable[[ScheduleOptions, float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "linear": _linear,
    "one_cycle": _one_cycle,
    "step": _step,
}
