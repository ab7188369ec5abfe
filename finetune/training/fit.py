"""One gradient phase: one Lightning fit."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.warnings import PossibleUserWarning
from torch import nn

from finetune.console import Task
from finetune.evaluation.metrics import epoch_scores
from finetune.model.device import memory_told
from finetune.recipe.schema import GradientPhase
from finetune.training.freeze import FreezePlan
from finetune.training.length import images_seen, total_steps
from finetune.training.module import PhaseModule
from finetune.training.passage import Passage, passage_of
from finetune.training.remedies import check_finite, smaller_batch
from finetune.training.schedules import schedule
from finetune.training.setting import Fit, Setting
from finetune.training.watching import EpochCheckpoint, EpochEnd, Progress, Validate


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
    judged: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))


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
        KeyboardInterrupt: The user stopped it; the last epoch's checkpoint stays.
    """
    steps = total_steps(phase, len(fit.train))
    first_epoch = _finished_epochs(checkpoint)
    setting.log.rewind(fit.name, phase.name, first_epoch)
    seed_place = (setting.recipe.seed, "step", position)
    passage = passage_of(setting, fit, model, plan, phase, position, first_epoch)
    factor = schedule(phase.lr_schedule, steps)
    module = PhaseModule(model, plan, phase, passage.pass_through, factor, seed_place)
    title = phase.name if fit.name == "main" else f"{fit.name} {phase.name}"
    with _bar(setting, fit, phase, first_epoch, title) as task:
        watch = EpochEnd(
            fit.name,
            _validation(setting, fit, passage, phase),
            phase.early_stopping,
            setting.log,
            task,
        )
        callbacks = [Progress(task, title), watch, EpochCheckpoint(checkpoint)]
        with _quiet(), _interruptible(), memory_told(smaller_batch(phase)):
            trainer = _trainer(setting, phase, steps, callbacks)
            trainer.fit(
                module,
                passage.loader,
                ckpt_path=checkpoint if first_epoch else None,
                weights_only=True,
            )
    model.to(setting.device)
    end = _end(model, phase, watch, trainer.current_epoch)
    return replace(end, judged=passage.logits(fit.judged))


def _validation(
    setting: Setting, fit: Fit, passage: Passage, phase: GradientPhase
) -> Validate | None:
    """Gives log loss, accuracy and balanced accuracy, before calibration."""
    labels = setting.labels(fit.monitor)

    def validate() -> dict[str, float]:
        logits = passage.logits(fit.monitor)
        check_finite(logits, phase)
        return {f"val_{k}": v for k, v in epoch_scores(logits, labels).items()}

    return validate if fit.monitor else None


@contextmanager
def _bar(
    setting: Setting, fit: Fit, phase: GradientPhase, first_epoch: int, title: str
) -> Iterator[Task]:
    images = len(fit.train)
    with setting.reporter.task(title, images_seen(phase, images), "images") as task:
        task.advance(images * first_epoch)
        yield task


def _trainer(
    setting: Setting, phase: GradientPhase, steps: int, callbacks: list[object]
) -> Trainer:
    kinds = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}
    return Trainer(
        accelerator=kinds[setting.device.type],
        devices=1,
        precision="bf16-mixed" if setting.precision == "bfloat16" else "32-true",
        max_epochs=phase.epochs if phase.epochs is not None else -1,
        max_steps=steps if phase.steps is not None else -1,
        accumulate_grad_batches=phase.accumulate,
        gradient_clip_val=phase.clip_norm,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _end(model: nn.Module, phase: GradientPhase, watch: EpochEnd, epochs: int) -> FitEnd:
    if not watch.best_weights:
        length = f"{phase.steps} steps" if phase.steps else f"{epochs} epochs"
        return FitEnd(epochs, None, f"{length}, as the recipe says")
    model.load_state_dict(watch.best_weights)
    if watch.stopped:
        assert phase.early_stopping is not None
        reason = (
            f"{phase.early_stopping.monitor} had not gained for "
            f"{phase.early_stopping.patience} epochs; epoch {watch.best_epoch} restored"
        )
    else:
        reason = f"{epochs} epochs, as the recipe says; epoch {watch.best_epoch} restored"
    return FitEnd(epochs, watch.best_epoch, reason)


def _finished_epochs(checkpoint: Path) -> int:
    """Epochs of the phase that a checkpoint holds; 0 without one."""
    if not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(state["epoch"]) + 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's notices about hardware and loaders go; its other warnings and errors stay."""
    loggers = [logging.getLogger(name) for name in _NOTICING]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        # Lightning 2.6 asks torch's pytrees in a way that torch 2.13 and later deprecate.
        warnings.filterwarnings("ignore", message=".*treespec.*LeafSpec.*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


_NOTICING = ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning.fabric")


_STOPPING = (signal.SIGINT, signal.SIGTERM)


class _Interrupted(BaseException):
    """Ctrl-C inside a fit. Lightning answers a KeyboardInterrupt by ending the process."""


@contextmanager
def _interruptible() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Left to itself, Lightning takes SIGTERM for a good end: exit status 0 in mid-training.
    previous = {number: signal.signal(number, _interrupt) for number in _STOPPING}
    try:
        yield
    except _Interrupted:
        raise KeyboardInterrupt from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise _Interrupted
