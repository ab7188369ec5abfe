"""What happens at each epoch's end: validation, the log, early stopping, a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from finetune.console import Task
from finetune.errors import TrainingError
from finetune.files import replacing
from finetune.recipe.schema import EarlyStoppingOptions
from finetune.training.log import Log, LogRow
from finetune.training.module import PhaseModule
from finetune.training.remedies import lower_rate

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
        epochs = f"/{module.phase.epochs}" if module.phase.epochs else ""
        self.task.rename(f"{self.title}, epoch {trainer.current_epoch + 1}{epochs}")

    def on_train_batch_end(
        self, trainer: Trainer, module: PhaseModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch's images."""
        self.task.advance(len(batch.labels))


class EpochEnd(Callback):
    """Validates and logs, and stops a phase that no longer gains.

    Its state travels in Lightning's checkpoint, so that a resumed phase stops where an
    uninterrupted one would.

    Args:
        fit: The fit's name in the log.
        validate: Scores the validation part; None where there is none.
        early_stopping: When to stop; None: never.
        log: Where rows go.
        task: Where scores are shown.
    """

    def __init__(
        self,
        fit: str,
        validate: Validate | None,
        early_stopping: EarlyStoppingOptions | None,
        log: Log,
        task: Task,
    ) -> None:
        self.fit = fit
        self.validate = validate
        self.early_stopping = early_stopping
        self.log_ = log
        self.task = task
        self.best = math.inf
        self.best_epoch = 0
        self.best_weights: dict[str, torch.Tensor] = {}
        self.stopped = False
        self._started = 0.0

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

    def on_train_start(self, trainer: Trainer, module: PhaseModule) -> None:
        """Don't train on if the phase had stopped before it was interrupted."""
        trainer.should_stop = self.stopped

    def on_train_epoch_start(self, trainer: Trainer, module: PhaseModule) -> None:
        """Start the epoch's clock."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, module: PhaseModule) -> None:
        """Validate, log, and decide whether to go on.

        Raises:
            TrainingError: The loss is no longer a number.
        """
        epoch = trainer.current_epoch + 1
        _check_loss(module, epoch)
        scores = self.validate() if self.validate else {}
        self.log_.append(_row(self.fit, epoch, trainer, module, scores, self._started))
        self.task.advance(0, loss=module.mean_loss, **scores)
        if self.early_stopping:
            self._watch(self.early_stopping, scores, epoch, module)
            trainer.should_stop = self.stopped

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
                for name, value in module.model.state_dict().items()
            }
        self.stopped = epoch - self.best_epoch >= options.patience


class EpochCheckpoint(Callback):
    """Leaves a checkpoint at each epoch's end; comes after `EpochEnd`, whose state it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, module: PhaseModule) -> None:
        """Write the checkpoint, whole or not at all."""
        with replacing(self.path) as temporary:
            trainer.save_checkpoint(temporary)


def _check_loss(module: PhaseModule, epoch: int) -> None:
    if not math.isfinite(module.mean_loss):
        raise TrainingError(
            f"the loss is no longer a number in epoch {epoch} of phase {module.phase.name}",
            mend=lower_rate(module.phase),
        )


def _row(
    fit: str,
    epoch: int,
    trainer: Trainer,
    module: PhaseModule,
    scores: dict[str, float],
    started: float,
) -> LogRow:
    step = trainer.global_step
    return LogRow(
        fit=fit,
        phase=module.phase.name,
        epoch=epoch,
        step=step,
        lr=module.phase.optimizer.lr * module.factor(max(step - 1, 0)),
        train_loss=module.mean_loss,
        val_log_loss=scores.get("val_log_loss"),
        val_accuracy=scores.get("val_accuracy"),
        val_balanced_accuracy=scores.get("val_balanced_accuracy"),
        seconds=time.monotonic() - started,
    )
