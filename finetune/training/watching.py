"""What happens at each epoch's end: validation, the log, early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from finetune.console import Task
from finetune.errors import TrainingError
from finetune.recipe.schema import EarlyStoppingOptions
from finetune.training.log import Log, LogRow
from finetune.training.module import PhaseModule
from finetune.training.remedies import lower_rate
from finetune.training.stopping import Stopping

Validate = Callable[[], dict[str, float]]
"""Scores on the validation part by their names in the log (``val_log_loss``, ...)."""


class Progress(Callback):
    """Moves the progress bar.

    Args:
        task: The bar.
        title: What the fit and the phase are called.
    """

    def __init__(self, task: Task, title: str) -> None:
        self.task = task
        self.title = title

    def on_train_epoch_start(self, trainer: Trainer, module: PhaseModule) -> None:
        """Name the epoch."""
        epochs = f"/{module.trainee.phase.epochs}" if module.trainee.phase.epochs else ""
        self.task.rename(f"{self.title}, epoch {module.place.epoch + 1}{epochs}")

    def on_train_batch_end(
        self, trainer: Trainer, module: PhaseModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch's images."""
        self.task.advance(len(batch.labels))


class EpochEnd(Callback):
    """Validates and logs, and stops a phase that no longer gains.

    Its state travels in the phase's checkpoint, so that a resumed phase stops where an
    uninterrupted one would.

    Args:
        fit: The fit's name in the log.
        validate: Scores the validation part; None where there is none.
        early_stopping: When to stop; None: never.
        log: Where rows go.
        task: Where scores are shown.
        stopping: Whether somebody wants the phase to stop: validation is not waited for then.
    """

    def __init__(
        self,
        fit: str,
        validate: Validate | None,
        early_stopping: EarlyStoppingOptions | None,
        log: Log,
        task: Task,
        stopping: Stopping,
    ) -> None:
        self.fit = fit
        self.validate = validate
        self.early_stopping = early_stopping
        self.log_ = log
        self.task = task
        self.stopping = stopping
        self.best = math.inf
        self.best_epoch = 0
        self.best_weights: dict[str, torch.Tensor] = {}
        self.stopped = False

    def state_dict(self) -> dict[str, Any]:
        """What a resumed phase needs."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "stopped": self.stopped,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.best = state_dict["best"]
        self.best_epoch = state_dict["best_epoch"]
        self.best_weights = state_dict["best_weights"]
        self.stopped = state_dict["stopped"]

    def on_train_epoch_end(self, trainer: Trainer, module: PhaseModule) -> None:
        """Validate, log, and decide whether to go on.

        Raises:
            TrainingError: The loss is no longer a number.
        """
        epoch = module.place.epoch + 1
        _check_loss(module, epoch)
        if module.average:
            module.average.after_epoch(epoch)
        with module.average.shown() if module.average else nullcontext():
            scores = self._scores()
            if self.early_stopping:
                self._watch(self.early_stopping, scores, epoch, module)
        self.log_.append(_row(self.fit, epoch, module, scores))
        self.task.advance(0, loss=module.place.mean_loss, **scores)
        trainer.should_stop = trainer.should_stop or self.stopped
        module.place.next_epoch()

    def _scores(self) -> dict[str, float]:
        if not self.validate:
            return {}
        with self.stopping.at_once():
            return self.validate()

    def _watch(
        self,
        options: EarlyStoppingOptions,
        scores: dict[str, float],
        epoch: int,
        module: PhaseModule,
    ) -> None:
        score = scores[options.monitor]
        loss = score if options.monitor.endswith("loss") else -score
        if loss < self.best - options.min_delta:
            self.best, self.best_epoch = loss, epoch
            self.best_weights = {
                name: value.detach().cpu().clone()
                for name, value in module.trainee.plan.moving(module.model).items()
            }
        self.stopped = epoch - self.best_epoch >= options.patience


def _check_loss(module: PhaseModule, epoch: int) -> None:
    if not math.isfinite(module.place.mean_loss):
        raise TrainingError(
            f"the loss is no longer a number in epoch {epoch} of phase {module.trainee.phase.name}",
            mend=lower_rate(module.trainee.phase),
        )


def _row(fit: str, epoch: int, module: PhaseModule, scores: dict[str, float]) -> LogRow:
    place = module.place
    return LogRow(
        fit=fit,
        phase=module.trainee.phase.name,
        epoch=epoch,
        step=place.step,
        lr=module.trainee.phase.optimizer.peak * module.stepper.factor(max(place.step - 1, 0)),
        train_loss=place.mean_loss,
        val_log_loss=scores.get("val_log_loss"),
        val_accuracy=scores.get("val_accuracy"),
        val_balanced_accuracy=scores.get("val_balanced_accuracy"),
        val_macro_f1=scores.get("val_macro_f1"),
        seconds=place.seconds,
    )
