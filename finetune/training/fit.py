"""One gradient phase: one Lightning fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from finetune.console import Task
from finetune.evaluation.metrics import epoch_scores
from finetune.model.device import memory_told
from finetune.model.precision import shortened_products
from finetune.recipe.schema import GradientPhase
from finetune.training.averaging import Average, refresh_statistics
from finetune.training.freeze import FreezePlan
from finetune.training.keeping import Keeper, kept_place, restore
from finetune.training.length import epoch_length, epochs_begun, images_seen, total_steps
from finetune.training.module import PhaseModule
from finetune.training.passage import Passage, passage_of
from finetune.training.place import Place
from finetune.training.remedies import check_finite, less_memory
from finetune.training.schedules import schedule
from finetune.training.setting import Fit, Setting
from finetune.training.stepping import stepper_for
from finetune.training.stopping import listening
from finetune.training.trainer import quiet, trainer_for
from finetune.training.watching import EpochEnd, Progress


@dataclass(frozen=True)
class FitEnd:
    """How a gradient phase ended.

    Attributes:
        epochs: Epochs that were run.
        best_epoch: The epoch whose weights were restored, or None: the last one's were kept.
        reason: Why it ended, for a person.
        judged: Logits of the images that the fit is judged on, ``[M, C]``.
    """

    epochs: int
    best_epoch: int | None
    reason: str
    judged: np.ndarray


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
    sized = setting.at(phase.size)
    passage = passage_of(sized, fit, model, plan, phase, position, place.epoch, place.batch)
    module = _module(sized, fit, model, plan, phase, position, place, passage)
    title = phase.name if fit.name == "main" else f"{fit.name} {phase.name}"
    with _bar(setting, fit, phase, place, title) as task, listening() as stopping:
        validation = _Validation(setting, fit, passage, phase)
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
    elif module.average:
        module.average.settle()
    return FitEnd(
        epochs=place.epoch,
        best_epoch=watch.best_epoch if watch.best_weights else None,
        reason=_reason(phase, watch, place.epoch),
        judged=(
            validation.judged(restored=bool(watch.best_weights))
            if sized is setting
            else setting.logits(model, fit.judged)
        ),
    )


def _module(
    setting: Setting,
    fit: Fit,
    model: nn.Module,
    plan: FreezePlan,
    phase: GradientPhase,
    position: int,
    place: Place,
    passage: Passage,
) -> PhaseModule:
    steps = total_steps(phase, len(fit.train))
    factor = schedule(phase.lr_schedule, steps)
    stepper = stepper_for(
        setting, fit.train, model, plan, phase, passage.pass_through, factor, setting.reporter.say
    )
    seed_place = (setting.recipe.seed, "step", position)
    length = epoch_length(phase, len(fit.train))
    average = _average(fit, model, plan, phase, passage)
    return PhaseModule(model, plan, phase, stepper, length, steps, seed_place, place, average)


def _average(
    fit: Fit, model: nn.Module, plan: FreezePlan, phase: GradientPhase, passage: Passage
) -> Average | None:
    if phase.ema is None and phase.swa is None:
        return None

    def refresh(epoch: int) -> None:
        refresh_statistics(model, plan, iter(passage.epoch(epoch)), passage.pass_through)

    return Average(model, plan, phase, epochs_begun(phase, len(fit.train)), refresh)


def _is_over(module: PhaseModule, watch: EpochEnd) -> bool:
    """Whether the phase was interrupted after its last epoch's end."""
    done = module.place.step >= module.steps or watch.stopped
    return done and module.place.batch == 0


class _Validation:
    """Gives the scores of an epoch, before calibration, and keeps the logits."""

    def __init__(self, setting: Setting, fit: Fit, passage: Passage, phase: GradientPhase) -> None:
        self._labels = setting.labels(fit.monitor)
        self._fit, self._passage, self._phase = fit, passage, phase
        self._last: np.ndarray | None = None

    def __call__(self) -> dict[str, float]:
        self._last = self._passage.logits(self._fit.monitor)
        check_finite(self._last, self._phase)
        return {f"val_{k}": v for k, v in epoch_scores(self._last, self._labels).items()}

    def judged(self, *, restored: bool) -> np.ndarray:
        """Logits of what the fit is judged on; the last epoch's, if they are of these weights."""
        if self._last is not None and not restored and self._fit.judged is self._fit.monitor:
            return self._last
        return self._passage.logits(self._fit.judged)


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
