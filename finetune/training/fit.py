"""One gradient phase: one Lightning fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from finetune.console import Task
from finetune.data.loading import train_loader
from finetune.evaluation.metrics import epoch_scores
from finetune.model.device import memory_told
from finetune.recipe.schema import GradientPhase
from finetune.training.freeze import FreezePlan
from finetune.training.keeping import Keeper, kept_place, restore
from finetune.training.length import images_seen, total_steps
from finetune.training.module import PhaseModule
from finetune.training.place import Place
from finetune.training.remedies import check_finite, less_memory
from finetune.training.schedules import schedule
from finetune.training.setting import Fit, Setting
from finetune.training.stepping import stepper_for
from finetune.training.stopping import listening
from finetune.training.trainer import quiet, trainer_for
from finetune.training.watching import EpochEnd, Progress, Validate


@dataclass(frozen=True)
class FitEnd:
    """How a gradient phase ended.

    Attributes:
        epochs: Epochs that were run.
        best_epoch: The epoch whose weights were restored, or None: the last one's were kept.
        reason: Why it ended, for a person.
    """

    epochs: int
    best_epoch: int | None
    reason: str


def fit_phase(
    setting: Setting,
    fit: Fit,
    model: nn.Module,
    plan: FreezePlan,
    phase: GradientPhase,
    position: int,
    checkpoint: Path,
) -> FitEnd:
    """Train ``model`` in place as ``phase`` says.

    Args:
        setting: What the run's fits share.
        fit: What is learnt from, and scored after each epoch.
        model: The network, to which ``plan`` has been applied.
        plan: What trains.
        phase: How it trains.
        position: The phase's place in the recipe, from 0; part of every seed.
        checkpoint: Where the phase under way is kept; it is gone on with if it exists.

    Raises:
        TrainingError: The loss is no longer a number.
        DeviceError: Not even one image fits the memory.
        KeyboardInterrupt: The user stopped it, after a checkpoint of all steps so far.
    """
    place = kept_place(checkpoint)
    setting.log.rewind(fit.name, phase.name, place.epoch)
    module = _module(setting, fit, model, plan, phase, position, place)
    loader = _loader(setting, fit, phase, position, place)
    title = phase.name if fit.name == "main" else f"{fit.name} {phase.name}"
    with _bar(setting, fit, phase, place, title) as task, listening() as stopping:
        validate = _validation(setting, fit, model, phase)
        watch = EpochEnd(fit.name, validate, phase.early_stopping, setting.log, task, stopping)
        restore(checkpoint, module, watch)
        keeper = Keeper(checkpoint, setting.recipe.checkpoint, watch, stopping)
        if not _is_over(module, watch):
            with quiet(), memory_told(less_memory(phase, setting.spec.size)):
                trainer = trainer_for(setting.device, [Progress(task, title), watch, keeper])
                trainer.fit(module, loader)
    model.to(setting.device)
    return _end(model, phase, watch, place.epoch)


def _module(
    setting: Setting,
    fit: Fit,
    model: nn.Module,
    plan: FreezePlan,
    phase: GradientPhase,
    position: int,
    place: Place,
) -> PhaseModule:
    images = len(fit.train)
    steps = total_steps(phase, images)
    factor = schedule(phase.lr_schedule, steps)
    stepper = stepper_for(setting, model, plan, phase, factor, setting.reporter.say)
    seed_place = (setting.recipe.seed, "step", position)
    return PhaseModule(model, plan, phase, stepper, images, steps, seed_place, place)


def _is_over(module: PhaseModule, watch: EpochEnd) -> bool:
    """Whether the phase was interrupted after its last epoch's end."""
    done = module.place.step >= module.steps or watch.stopped
    return done and module.place.batch == 0


def _validation(
    setting: Setting, fit: Fit, model: nn.Module, phase: GradientPhase
) -> Validate | None:
    """Gives log loss, accuracy and balanced accuracy, before calibration."""
    labels = setting.labels(fit.monitor)

    def validate() -> dict[str, float]:
        logits = setting.logits(model, fit.monitor)
        check_finite(logits, phase)
        return {f"val_{k}": v for k, v in epoch_scores(logits, labels).items()}

    return validate if fit.monitor else None


def _loader(
    setting: Setting, fit: Fit, phase: GradientPhase, position: int, place: Place
) -> DataLoader[Any]:
    return train_loader(
        setting.manifest,
        fit.train,
        setting.spec,
        setting.augment(phase),
        setting.recipe.seed,
        position,
        phase.batch_size,
        setting.workers,
        setting.recipe.data.max_pixels,
        first_epoch=place.epoch,
        first_batch=place.batch,
    )


@contextmanager
def _bar(
    setting: Setting, fit: Fit, phase: GradientPhase, place: Place, title: str
) -> Iterator[Task]:
    images = len(fit.train)
    with setting.reporter.task(title, images_seen(phase, images), "images") as task:
        task.advance(images * place.epoch + place.images)
        yield task


def _end(model: nn.Module, phase: GradientPhase, watch: EpochEnd, epochs: int) -> FitEnd:
    if not watch.best_weights:
        length = f"{phase.steps} steps" if phase.steps else f"{epochs} epochs"
        return FitEnd(epochs, None, f"{length}, as the recipe says")
    model.load_state_dict(model.state_dict() | watch.best_weights)
    if watch.stopped:
        assert phase.early_stopping is not None
        reason = (
            f"{phase.early_stopping.monitor} had not gained for "
            f"{phase.early_stopping.patience} epochs; epoch {watch.best_epoch} restored"
        )
    else:
        reason = f"{epochs} epochs, as the recipe says; epoch {watch.best_epoch} restored"
    return FitEnd(epochs, watch.best_epoch, reason)
