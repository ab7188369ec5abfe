"""A phase as Lightning sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.nn import functional

from finetune.data.loaders import Batch
from finetune.features.views import StoredBatch
from finetune.recipe.schema import GradientPhase
from finetune.training.freeze import FreezePlan
from finetune.training.optimisers import build_optimizer
from finetune.training.schedules import Factor
from finetune.training.seeding import seed_of


class PhaseModule(LightningModule):
    """A network of which some stages train.

    Args:
        model: The network; its own parameters are trained.
        plan: What trains.
        phase: How it trains.
        pass_through: Gives the network's logits for a batch.
        factor: The learning rate's schedule.
        seed_place: What torch draws in a step is a function of this and of the step.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: FreezePlan,
        phase: GradientPhase,
        pass_through: Callable[[Any], torch.Tensor],
        factor: Factor,
        seed_place: tuple[int | str, ...],
    ) -> None:
        super().__init__()
        self.model = model
        self.plan = plan
        self.phase = phase
        self.pass_through = pass_through
        self.factor = factor
        self.seed_place = seed_place
        self.loss_sum: torch.Tensor | float = 0.0
        self.images_seen = 0

    def train(self, mode: bool = True) -> PhaseModule:
        """Training mode as the plan has it: Lightning calls this, and frozen stays frozen."""
        super().train(mode)
        if mode:
            self.plan.set_modes(self.model)
        return self

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's mean loss."""
        self.loss_sum = 0.0
        self.images_seen = 0

    def on_train_batch_start(self, batch: Batch | StoredBatch, batch_idx: int) -> None:
        """Make dropout and drop-path a function of the seed and the step."""
        torch.manual_seed(seed_of(*self.seed_place, self.current_epoch, batch_idx))

    def training_step(self, batch: Batch | StoredBatch, batch_idx: int) -> torch.Tensor:
        """The batch's mean loss."""
        logits = self.pass_through(batch).float()
        loss = functional.cross_entropy(
            logits, batch.labels, label_smoothing=self.phase.label_smoothing
        )
        count = len(batch.labels)
        # On the device: to fetch it here would make a GPU wait in every step.
        self.loss_sum = self.loss_sum + loss.detach() * count
        self.images_seen += count
        return loss

    @property
    def mean_loss(self) -> float:
        """Mean loss over the images of the epoch so far."""
        return float(self.loss_sum) / max(self.images_seen, 1)

    def configure_optimizers(self) -> Any:
        """The phase's optimiser, its rates following the schedule step by step."""
        optimizer = build_optimizer(self.model, self.plan, self.phase)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def transfer_batch_to_device(
        self, batch: Batch | StoredBatch, device: torch.device, dataloader_idx: int
    ) -> Batch | StoredBatch:
        """The batch on ``device``."""
        return batch if device.type == "cpu" else batch.to(device)
