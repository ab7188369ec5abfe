"""One gradient phase: one Lightning fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from finetune.console import Task
from finetune.model.device import memory_told
from finetune.model.precision import shortened_products
from finetune.recipe.schema import GradientPhase
from finetune.training.averaging import Average, Refresh, refresh_statistics
from finetune.training.co_tuning import CoTuning
from finetune.training.interpolating import SHARES, Mixture, Stretch, interpolate
from finetune.training.keeping import Keeper, kept_place, restore
from finetune.training.length import epoch_length, epochs_begun, images_seen, total_steps
from finetune.training.module import PhaseModule
from finetune.training.passage import Passage, passage_of
from finetune.training.place import Place
from finetune.training.remedies import less_memory
from finetune.training.schedules import schedule
from finetune.training.setting import Fit, Setting
from finetune.training.stepping import Stepper, stepper_for
from finetune.training.stopping import listening
from finetune.training.trainee import Trainee
from finetune.training.trainer import quiet, trainer_for
from finetune.training.validating import Validation
from finetune.training.watching import EpochEnd, Progress


@dataclass(frozen=True)
class FitEnd:
    """How a gradient phase ended.

    Attributes:
        epochs: Epochs that were run.
        best_epoch: The epoch whose weights were restored, or None: the last one's were kept.
        reason: Why it ended, for a person.
        judged: Logits of the images that the fit is judged on, ``[M, C]``.
        mixture: Of its weights and those that it began with; None: the recipe wants none.
    """

    epochs: int
    best_epoch: int | None
    reason: str
    judged: np.ndarray
    mixture: Mixture | None


def fit_phase(
    setting: Setting,
    fit: Fit,
    trainee: Trainee,
    checkpoint: Path,
) -> FitEnd:
    """Train a network in place as its phase says.

    Args:
        setting: What the run's fits share.
        fit: What is learnt from, and scored after each epoch.
        trainee: The network, and how it trains.
        checkpoint: Where the phase under way is kept; it is gone on with if it exists.

    Raises:
        TrainingError: The loss is no longer a number.
        DeviceError: Not even one image fits the memory.
        KeyboardInterrupt: The user stopped it, after a checkpoint of all steps so far.
    """
    model, phase = trainee.model, trainee.phase
    began = _copied(trainee) if phase.interpolate else {}
    place = kept_place(checkpoint)
    setting.log.rewind(fit.name, phase.name, place.epoch)
    sized = setting.at(phase.size)
    beside = CoTuning.of(setting, fit.train, phase)
    passage = passage_of(sized, fit, trainee, place.epoch, place.batch, beside)
    module = _module(sized, fit, trainee, place, passage)
    title = phase.name if fit.name == "main" else f"{fit.name} {phase.name}"
    with _bar(setting, fit, phase, place, title) as task, listening() as stopping:
        validation = Validation(setting, fit, passage, phase)
        validate = validation if fit.monitor else None
        watch = EpochEnd(fit.name, validate, phase.early_stopping, setting.log, task, stopping)
        restore(checkpoint, module, watch)
        keeper = Keeper(checkpoint, setting.recipe.checkpoint, watch, stopping)
        if not _is_over(module, watch):
            with (
                quiet(),
                shortened_products(setting.device),
                memory_told(less_memory(phase, sized.spec.size)),
            ):
                trainer = trainer_for(setting.device, [Progress(task, title), watch, keeper])
                trainer.fit(module, passage.loader)
    model.to(setting.device)
    if watch.best_weights:
        model.load_state_dict(model.state_dict() | watch.best_weights)
        validation.keep(None)
    elif module.average:
        module.average.settle()
    mixture = _mixed(setting, module, began, validation, passage, title) if began else None
    return FitEnd(
        epochs=place.epoch,
        best_epoch=watch.best_epoch if watch.best_weights else None,
        reason=_reason(phase, watch, place.epoch) + (f"; {mixture.words}" if mixture else ""),
        judged=validation.judged() if sized is setting else setting.logits(model, fit.judged),
        mixture=mixture,
    )


def _module(
    setting: Setting, fit: Fit, trainee: Trainee, place: Place, passage: Passage
) -> PhaseModule:
    phase, images = trainee.phase, len(fit.train)
    steps = total_steps(phase, images)
    factor, tell = schedule(phase.lr_schedule, steps), setting.reporter.say
    through, beside = passage.pass_through, passage.co_tuning
    stepper = stepper_for(setting, fit.train, trainee, through, factor, tell, beside)
    seed_place = (setting.recipe.seed, "step", trainee.position)
    average = _average(fit, trainee, _refresher(trainee, passage, stepper))
    length = epoch_length(phase, images)
    return PhaseModule(trainee, stepper, length, steps, seed_place, place, average)


def _average(fit: Fit, trainee: Trainee, refresh: Refresh) -> Average | None:
    phase = trainee.phase
    if phase.ema is None and phase.swa is None:
        return None
    epochs = epochs_begun(phase, len(fit.train))
    return Average(trainee.model, trainee.plan, phase, epochs, refresh)


def _refresher(trainee: Trainee, passage: Passage, stepper: Stepper) -> Refresh:
    def refresh(epoch: int) -> None:
        inputs = (part for batch in passage.epoch(epoch) for part in stepper.split(batch.inputs))
        refresh_statistics(trainee.model, trainee.plan, inputs, passage.pass_through)

    return refresh


def _copied(trainee: Trainee) -> dict[str, torch.Tensor]:
    """What the phase moves, as it is now."""
    moving = trainee.plan.moving(trainee.model)
    return {name: value.clone() for name, value in moving.items()}


def _mixed(
    setting: Setting,
    module: PhaseModule,
    began: dict[str, torch.Tensor],
    validation: Validation,
    passage: Passage,
    title: str,
) -> Mixture:
    """Mix the weights that the phase ended with and those that it ``began`` with."""
    trainee = module.trainee
    model, phase = trainee.model, trainee.phase
    refresh = _refresher(trainee, passage, module.stepper)
    moved = phase.batch_norm == "train" and any(True for _ in trainee.plan.norms(model))
    last = partial(refresh, module.place.epoch - 1) if moved else None
    with (
        memory_told(less_memory(phase, setting.at(phase.size).spec.size)),
        setting.reporter.task(f"{title}, mixed", len(SHARES), "mixtures") as task,
    ):
        stretch = Stretch(began, _copied(trainee))
        mixture = interpolate(model, stretch, validation.logits, validation.labels, last, task)
    validation.keep(mixture.logits)
    setting.reporter.say(f"{title}: {mixture.words}.")
    return mixture


def _is_over(module: PhaseModule, watch: EpochEnd) -> bool:
    """Whether the phase was interrupted after its last epoch's end."""
    done = module.place.step >= module.steps or watch.stopped
    return done and module.place.batch == 0


@contextmanager
def _bar(
    setting: Setting, fit: Fit, phase: GradientPhase, place: Place, title: str
) -> Iterator[Task]:
    images = len(fit.train)
    done = epoch_length(phase, images) * place.epoch + place.images
    with setting.reporter.task(title, images_seen(phase, images), "images", done) as task:
        yield task


def _reason(phase: GradientPhase, watch: EpochEnd, epochs: int) -> str:
    if not watch.best_weights:
        length = f"{phase.steps} steps" if phase.steps else f"{epochs} epochs"
        mean = "; their mean is kept" if phase.ema or phase.swa else ""
        return f"{length}, as the recipe says{mean}"
    if not watch.stopped:
        return f"{epochs} epochs, as the recipe says; epoch {watch.best_epoch} restored"
    assert phase.early_stopping is not None
    return (
        f"{phase.early_stopping.monitor} had not gained for "
        f"{phase.early_stopping.patience} epochs; epoch {watch.best_epoch} restored"
    )
