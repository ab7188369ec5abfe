"""The learning rate range test: a phase's first steps, at rates that rise until training runs away.

Networks are copies, and what earlier phases leave lies in a folder that goes; what frozen stages
make of images is kept in the store.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from torch import nn

from finetune.data.manifest import spread
from finetune.errors import RecipeError
from finetune.evaluation.rate_curve import ran_away
from finetune.experiments.found_rate import FoundRate
from finetune.model.device import memory_told
from finetune.model.precision import shortened_products
from finetune.recipe.schema import GradientPhase, Recipe
from finetune.text import listed
from finetune.training.co_tuning import CoTuning
from finetune.training.length import epoch_length, step_images
from finetune.training.log import Log
from finetune.training.passage import passage_of
from finetune.training.phases import run_fit
from finetune.training.remedies import less_memory
from finetune.training.setting import Fit, Setting
from finetune.training.stepping import Stepper, stepper_for
from finetune.training.trainee import Trainee


def position_of(recipe: Recipe, name: str | None) -> int:
    """The position of the phase called ``name``, or of the first one with a rate.

    Raises:
        RecipeError: There is none, or it has no rate.
    """
    rated = [p.name for p in recipe.phases if isinstance(p, GradientPhase)]
    wanted = rated[0] if rated and name is None else name
    if wanted in rated:
        return [phase.name for phase in recipe.phases].index(wanted)
    there = f"those that have one: {listed(rated)}" if rated else "none of its phases has one"
    found = "there is no rate to find" if name is None else f"{name} is no phase with a rate"
    raise RecipeError(f"{found} ({there})", where=f"recipe {recipe.name}")


def range_test(setting: Setting, position: int, rates: Sequence[float], folder: Path) -> FoundRate:
    """The losses of the phase at ``position``, a step at each of ``rates``, until it runs away.

    Args:
        setting: What a training would work with; nothing of it changes.
        position: Of a gradient phase.
        rates: The head's, rising; ``lr_decay`` lowers those of stages below it.
        folder: Where earlier phases may leave what they learnt.

    Raises:
        TrainingError: An earlier phase can't go on.
        DeviceError: Not even one image fits the memory.
    """
    phase = setting.recipe.phases[position]
    assert isinstance(phase, GradientPhase)
    model = _before(setting, position, folder)
    losses = list[float]()
    with (
        setting.reporter.task(f"{phase.name}, rates rising", len(rates), "steps") as task,
        shortened_products(setting.device),
        memory_told(less_memory(phase, setting.at(phase.size).spec.size)),
    ):
        for loss in _losses(setting, model, phase, position, rates):
            losses.append(loss)
            task.advance(loss=loss)
            if len(losses) == len(rates) or ran_away(losses):
                break
    return FoundRate(phase.name, tuple(rates[: len(losses)]), tuple(losses))


def _before(setting: Setting, position: int, folder: Path) -> nn.Module:
    """A copy of the network as the phase would begin with it: earlier phases are run."""
    model = copy.deepcopy(setting.pristine).to(setting.device)
    if position:
        names = [phase.name for phase in setting.recipe.phases[:position]]
        setting.reporter.say(f"First, as the recipe says: {listed(names)}.")
        apart = replace(setting, checkpoints=folder / "checkpoints", log=Log(folder / "log.csv"))
        train, validation = (setting.manifest.part(part) for part in ("train", "val"))
        results = run_fit(apart, Fit("main", train, validation, validation), position)
        model.load_state_dict(results[-1].store.state())
    return model


def _losses(
    setting: Setting,
    model: nn.Module,
    phase: GradientPhase,
    position: int,
    rates: Sequence[float],
) -> Iterator[float]:
    """The mean loss of each step, before it is taken, as long as they are asked for."""
    train, sized = setting.manifest.part("train"), setting.at(phase.size)
    changed = {"epochs": None, "steps": len(rates), "early_stopping": None}
    short = phase.at(1.0).model_copy(update=changed)  # so that the schedule's factor is the rate
    # No more images than the steps pass: what frozen stages make of others would be for nothing.
    some = spread(train, len(rates) * phase.batch_size * phase.accumulate)
    trainee, beside = Trainee.of(model, short, position), CoTuning.of(setting, train, short)
    fit, at = Fit("range test", some, (), ()), rates.__getitem__
    passage = passage_of(sized, fit, trainee, co_tuning=beside)
    tell, through = setting.reporter.say, passage.pass_through
    stepper = stepper_for(sized, train, trainee, through, at, tell, beside)
    step = count()
    for epoch in count():
        place = (setting.recipe.seed, "step", position, epoch)
        for loss in _steps(stepper, passage.loader, epoch_length(short, len(some)), place):
            yield loss
            stepper.step(next(step))


def _steps(
    stepper: Stepper, loader: Any, length: int, place: tuple[int | str, ...]
) -> Iterator[float]:
    """The mean loss of each optimiser step of an epoch of ``length`` images, gradients added."""
    total, begun = 0.0, 0
    for number, batch in enumerate(loader):
        images = step_images(stepper.phase, length, number)
        total += float(stepper.add(batch, images, *place, number))
        begun += len(batch.labels)
        if begun == images:
            yield total / images if math.isfinite(total) else math.inf
            total, begun = 0.0, 0
