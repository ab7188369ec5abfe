"""A phase as Lightning sees it."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningModule

from finetune.data.batches import batch_count
from finetune.data.loaders import Batch
from finetune.features.views import StoredBatch
from finetune.training.averaging import Average
from finetune.training.length import step_images
from finetune.training.place import Place
from finetune.training.stepping import Stepper
from finetune.training.trainee import Trainee


class PhaseModule(LightningModule):
    """A network of which some stages train.

    Lightning goes through the epochs; what a batch does, and how far the phase is, is told here.

    Args:
        trainee: The network, whose own parameters are trained, and how.
        stepper: Adds up gradients and steps.
        images: Images that an epoch shows.
        steps: Optimiser steps of the phase.
        seed_place: What torch draws is a function of this, of the epoch and of the batch.
        place: How far the phase is; it is kept up to date.
        average: The mean that is kept in place of the weights, if one is.
    """

    def __init__(
        self,
        trainee: Trainee,
        stepper: Stepper,
        images: int,
        steps: int,
        seed_place: tuple[int | str, ...],
        place: Place,
        average: Average | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.trainee = trainee
        self.model = trainee.model  # of its own, so that Lightning knows the parameters
        self.stepper = stepper
        self.images = images
        self.batches = batch_count(images, trainee.phase.batch_size)
        self.steps = steps
        self.seed_place = seed_place
        self.place = place
        self.average = average

    def train(self, mode: bool = True) -> PhaseModule:
        """Training mode as the plan has it: Lightning calls this, and frozen stays frozen."""
        super().train(mode)
        if mode:
            self.trainee.plan.set_modes(self.model)
        return self

    @property
    def at_step(self) -> bool:
        """Whether the last batch ended an optimiser step."""
        place = self.place
        return place.batch % self.trainee.phase.accumulate == 0 or place.batch == self.batches

    def on_train_epoch_start(self) -> None:
        """Pass no batch if the phase was interrupted after its last step."""
        self._stop_at_the_end()

    def training_step(self, batch: Batch | StoredBatch, batch_idx: int) -> None:
        """Add the batch's gradient, and step where it is the last of its optimiser step.

        Lightning's ``batch_idx`` is not that of the epoch where a phase was resumed within it.
        """
        place = self.place
        images = step_images(self.trainee.phase, self.images, place.batch)
        loss = self.stepper.add(batch, images, *self.seed_place, place.epoch, place.batch)
        place.loss = place.loss + loss
        place.images += len(batch.labels)
        place.batch += 1
        if self.at_step:
            self.stepper.step(place.step)
            place.step += 1
            if self.average:
                self.average.after_step()
            self._stop_at_the_end()

    def _stop_at_the_end(self) -> None:
        if self.place.step >= self.steps:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The phase's optimiser."""
        return self.stepper.optimizer

    def transfer_batch_to_device(
        self, batch: Batch | StoredBatch, device: torch.device, dataloader_idx: int
    ) -> Batch | StoredBatch:
        """The batch on ``device``."""
        return batch if device.type == "cpu" else batch.to(device)
