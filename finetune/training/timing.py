"""What the parts of a training take, from a few timed batches on copies of the network."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from torch import nn

from finetune.console import Silent
from finetune.data.manifest import Item, spread
from finetune.features.body import Halves, body_of
from finetune.features.views import StoredBatch
from finetune.recipe.schema import Phase, SolverPhase
from finetune.training.passage import (
    halves_where_training_begins,
    live_forward,
    live_loader,
    stored_forward,
)
from finetune.training.setting import EVAL_BATCH, Setting
from finetune.training.stepping import Stepper, stepper_for
from finetune.training.stored import StoredPart
from finetune.training.trainee import Trainee

_TIMED = 2
"""Batches timed, after one that warms up."""

_FORWARD = 1 / 3
"""Share of a training step that passing the same images forward takes."""

Step = Callable[[Any], object]


@dataclass(frozen=True)
class Cost:
    """What a phase takes, in seconds.

    Attributes:
        step: For an image in training.
        scoring: For an image whose score is looked at.
        once: For what the frozen stages make of the training images.
    """

    step: float
    scoring: float
    once: float = 0.0


class Passing:
    """What reading, fitting and passing an image without gradients takes.

    It is timed when it is first asked about: where the store has everything, never.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def seconds(self, images: int) -> float:
        """For so many images."""
        return images * self._each if images else 0.0

    @cached_property
    def _each(self) -> float:
        setting = self._setting
        body = body_of(setting.pristine, setting.spec, setting.device, setting.inference)
        items = spread(setting.manifest.part("train"), 2 * EVAL_BATCH)

        @torch.inference_mode()
        def step(batch: Any) -> None:
            body(batch.images)

        return _seconds_per_image(setting.eval_batches(items), step, setting.device)


def phase_cost(
    setting: Setting, phase: Phase, items: Sequence[Item], passing: Passing, *, pristine: bool
) -> Cost:
    """What ``phase`` costs; ``pristine``: the frozen stages are as pretrained.

    What a solved head is scored on has been passed before then, with all other images.
    """
    if isinstance(phase, SolverPhase):
        scoring = 0.0 if pristine else passing.seconds(1)
        return Cost(0.0, scoring, passing.seconds(_views_missing(setting, phase, items)))
    setting = setting.at(phase.size)
    model: nn.Module = copy.deepcopy(setting.pristine).to(setting.device)
    trainee = Trainee.of(model, phase, 0)
    halves = halves_where_training_begins(setting, trainee)
    some = spread(items, phase.batch_size * (1 + _TIMED))
    loader: Iterable[Any] = live_loader(setting, some, trainee, keep=False)
    part = StoredPart.of(setting, model, halves) if halves else None
    stored = part is not None and part.has_room(items, phase)
    forward = live_forward(setting, model, halves)
    if halves is not None and stored:
        loader, forward = list(_crossed(halves, loader)), stored_forward(setting, halves)
    with _unmoved_randomness(setting.device):
        stepper = stepper_for(setting, items, trainee, forward, lambda _: 1.0, Silent().say)
        seconds = _seconds_per_image(loader, _training_step(stepper), setting.device)
    if part is None or not stored:
        return Cost(seconds, passing.seconds(1))
    return Cost(seconds, seconds * _FORWARD, passing.seconds(part.missing(items, phase)))


def _views_missing(setting: Setting, phase: SolverPhase, items: Sequence[Item]) -> int:
    if phase.views == 1:
        return 0
    part = StoredPart.before_the_head(setting, setting.pristine)
    return part.missing_augmented(items, phase.views - 1)


def _crossed(halves: Halves, loader: Iterable[Any]) -> Iterator[StoredBatch]:
    for batch in islice(loader, 1 + _TIMED):
        with torch.no_grad():
            crossing = halves.body(batch.images)
        yield StoredBatch(crossing, batch.labels)


def _training_step(stepper: Stepper) -> Step:
    def step(batch: Any) -> None:
        stepper.add(batch, len(batch.labels), "estimate")
        stepper.step(0)

    return step


def _seconds_per_image(batches: Iterable[Any], step: Step, device: torch.device) -> float:
    """Mean over the batches after the first; over the first where there is no other."""
    clock = []
    started = time.monotonic()
    for batch in islice(batches, 1 + _TIMED):
        step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.monotonic()
        clock.append((len(batch.labels), now - started))
        started = now
    timed = clock[1:] or clock
    return sum(seconds for _, seconds in timed) / max(1, sum(images for images, _ in timed))


@contextmanager
def _unmoved_randomness(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
