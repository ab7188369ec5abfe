"""The checkpoint of the phase under way: written between two optimiser steps, gone on from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from finetune.data.loaders import Batch
from finetune.files import replacing
from finetune.recipe.schema import CheckpointOptions
from finetune.training.module import PhaseModule
from finetune.training.place import Place
from finetune.training.stopping import Interrupted, Stopping
from finetune.training.watching import EpochEnd

_SHARE = 0.02
"""Of a phase's time, at most, that goes into checkpoints at epochs' ends."""


class Keeper(Callback):
    """Writes checkpoints, and stops where that was asked for; comes after `EpochEnd`.

    An epoch's end is kept unless the last checkpoint is so young that writing would take more than
    `_SHARE` of the time: short epochs of a large network.

    Args:
        path: Where the checkpoint lies.
        options: How often it is written within an epoch.
        watch: Its state travels along.
        stopping: Whether somebody wants the phase to stop.
    """

    def __init__(
        self, path: Path, options: CheckpointOptions, watch: EpochEnd, stopping: Stopping
    ) -> None:
        self.path = path
        self.options = options
        self.watch = watch
        self.stopping = stopping
        self._time = time.monotonic()
        self._step = 0
        self._writing = 0.0  # seconds that the last checkpoint took

    def on_train_start(self, trainer: Trainer, module: PhaseModule) -> None:
        """Start the clock of the first checkpoint."""
        # Again: Lightning has put a handler before ours that ends the fit after any batch.
        self.stopping.listen()
        self._time, self._step = time.monotonic(), module.place.step

    def on_train_batch_end(
        self, trainer: Trainer, module: PhaseModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """After an optimiser step: stop if that was asked for, keep the phase if it is time."""
        if module.at_step:
            self.stopping.take()
            if self._due(module.place):
                self._save(module)

    def on_train_epoch_end(self, trainer: Trainer, module: PhaseModule) -> None:
        """Keep the phase, with the epoch finished."""
        self.stopping.take()
        if self._writing <= _SHARE * (time.monotonic() - self._time):
            self._save(module)

    def on_exception(self, trainer: Trainer, module: PhaseModule, exception: BaseException) -> None:
        """Keep the phase before it stops."""
        if isinstance(exception, Interrupted) and exception.between_steps:
            self._save(module)

    def _due(self, place: Place) -> bool:
        steps, minutes = self.options.steps, self.options.minutes
        if steps is not None and place.step - self._step >= steps:
            return True
        return time.monotonic() - self._time >= 60 * minutes

    def _save(self, module: PhaseModule) -> None:
        beside = module.stepper.co_tuning
        state = {
            "place": module.place.to_state(),
            "most": module.stepper.most,
            "watch": self.watch.state_dict(),
            "weights": module.trainee.plan.moving(module.model),
            "optimizer": module.stepper.optimizer.state_dict(),
            "source_head": beside.source.state_dict() if beside else {},
            "average": module.average.state_dict() if module.average else {},
        }
        started = time.monotonic()
        with replacing(self.path) as temporary:
            torch.save(state, temporary)
        self._time, self._step = time.monotonic(), module.place.step
        self._writing = self._time - started


def kept_place(path: Path) -> Place:
    """How far the checkpoint's phase is; at its beginning without one."""
    if not path.is_file():
        return Place()
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return Place.of_state(state["place"])


def restore(path: Path, module: PhaseModule, watch: EpochEnd) -> None:
    """Bring a phase to where its checkpoint was written, if there is one."""
    if not path.is_file():
        return
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.model.load_state_dict(module.model.state_dict() | state["weights"])
    if module.stepper.co_tuning:
        module.stepper.co_tuning.source.load_state_dict(state["source_head"])
    module.stepper.optimizer.load_state_dict(state["optimizer"])
    module.stepper.most = state["most"]
    if module.average:
        module.average.load_state_dict(state["average"])
    watch.load_state_dict(state["watch"])
