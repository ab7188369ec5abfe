"""How long a training will take, from a few timed batches."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn

from finetune.console import Silent
from finetune.data.loading import Batch, eval_loader, train_loader
from finetune.data.manifest import Item
from finetune.features.body import body_of
from finetune.recipe.schema import GradientPhase
from finetune.training.freeze import FreezePlan
from finetune.training.judging import folds_of, wants_folds
from finetune.training.length import images_seen
from finetune.training.setting import Setting
from finetune.training.stepping import stepper_for

_SOLVER_SECONDS = 2.0
_TIMED = 2
"""Batches timed, after one that warms up."""


@dataclass(frozen=True)
class Estimate:
    """Seconds that a training will take.

    Attributes:
        phases: Seconds for each phase of the main fit, with its validation.
        judging: Seconds for the fits on folds that choose between phases.
        features: Seconds to pass every image through the frozen network once.
        scoring: Seconds to score the test part.
        quicker: Seconds that ``linear_probe`` would take.
    """

    phases: tuple[float, ...]
    judging: float
    features: float
    scoring: float
    quicker: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.phases) + self.judging + self.features + self.scoring


def estimate(setting: Setting) -> Estimate:
    """Time a few batches of each kind on copies of the network; nothing of ``setting`` changes."""
    train, validation = setting.manifest.part("train"), setting.manifest.part("val")
    test = setting.manifest.part("test")
    passing = _seconds_per_passed_image(setting, train)
    steps = [_phase_seconds_per_image(setting, phase, train) for phase in setting.recipe.phases]
    phases = tuple(
        _phase_seconds(phase, len(train), len(validation), per_image, passing)
        for phase, per_image in zip(setting.recipe.phases, steps, strict=True)
    )
    solved = any(not isinstance(phase, GradientPhase) for phase in setting.recipe.phases)
    images = [*train, *validation]
    once = setting.frozen.missing(images) * passing if solved else len(images) * passing
    return Estimate(
        phases=phases,
        judging=_judging_seconds(setting, train, len(validation), steps, passing),
        features=once if solved else 0.0,
        scoring=(len(test) + len(validation)) * passing,
        quicker=once + (len(test) + len(validation)) * passing + _SOLVER_SECONDS,
    )


def _phase_seconds(
    phase: object, images: int, validation: int, per_image: float, passing: float
) -> float:
    if not isinstance(phase, GradientPhase):
        return _SOLVER_SECONDS
    seen, epochs = _images_seen(phase, images)
    return seen * per_image + epochs * validation * passing


def _images_seen(phase: GradientPhase, images: int) -> tuple[float, int]:
    """Training images passed through in a phase, and the epochs that makes."""
    seen = images_seen(phase, images)
    return float(seen), math.ceil(seen / images)


def _judging_seconds(
    setting: Setting,
    train: Sequence[Item],
    validation: int,
    steps: Sequence[float],
    passing: float,
) -> float:
    recipe = setting.recipe
    if not wants_folds(recipe, validation):
        return 0.0
    return sum(
        _phase_seconds(phase, len(learn), validation, per_image, passing) + len(judge) * passing
        for learn, judge in folds_of(setting, train)
        for phase, per_image in zip(recipe.phases, steps, strict=True)
    )


def _seconds_per_passed_image(setting: Setting, items: Sequence[Item]) -> float:
    """Reading, fitting and passing an image without gradients."""
    size = 32
    loader = eval_loader(
        [setting.manifest.file(item) for item in items[: size * (1 + _TIMED)]],
        setting.spec,
        size,
        setting.workers,
        setting.recipe.data.max_pixels,
    )
    body = body_of(setting.pristine, setting.spec, setting.device, setting.inference)

    @torch.inference_mode()
    def step(batch: Batch) -> None:
        body(batch.images)

    return _seconds_per_image(loader, step, setting.device)


def _phase_seconds_per_image(setting: Setting, phase: object, items: Sequence[Item]) -> float:
    if not isinstance(phase, GradientPhase):
        return 0.0
    wanted = phase.batch_size * (1 + _TIMED)
    loader = train_loader(
        setting.manifest,
        items[:wanted],
        setting.spec,
        setting.augment(phase),
        setting.recipe.seed,
        0,
        phase.batch_size,
        setting.workers,
        setting.recipe.data.max_pixels,
    )
    with _unmoved_randomness():
        return _seconds_per_image(loader, _training_step(setting, phase), setting.device)


def _training_step(setting: Setting, phase: GradientPhase) -> Callable[[Batch], None]:
    model: nn.Module = copy.deepcopy(setting.pristine).to(setting.device)
    plan = FreezePlan.of(model, phase.train, phase.batch_norm)
    plan.apply(model)
    stepper = stepper_for(setting, model, plan, phase, lambda _: 1.0, Silent().say)

    def step(batch: Batch) -> None:
        stepper.add(batch, len(batch.labels), "estimate")
        stepper.step(0)

    return step


def _seconds_per_image(
    loader: Iterable[Batch], step: Callable[[Batch], None], device: torch.device
) -> float:
    """Mean over the batches after the first; over the first where there is no other."""
    clock = []
    started = time.monotonic()
    for batch in islice(loader, 1 + _TIMED):
        step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.monotonic()
        clock.append((len(batch.labels), now - started))
        started = now
    timed = clock[1:] or clock
    return sum(seconds for _, seconds in timed) / max(1, sum(images for images, _ in timed))


@contextmanager
def _unmoved_randomness() -> Iterator[None]:
    with torch.random.fork_rng():
        yield
