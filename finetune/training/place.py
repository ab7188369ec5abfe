"""How far a phase is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass
class Place:
    """How far a phase is; randomness and the learning rate are functions of it.

    Attributes:
        epoch: Epochs that are finished, validation and log included.
        batch: Batches that were passed in the epoch under way.
        step: Optimiser steps that were done in the phase.
        images: Images that were passed in the epoch under way.
        loss: The sum of their losses, on the device.
        started: When the epoch would have begun, had it never been interrupted (`time.monotonic`).
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    images: int = 0
    loss: torch.Tensor | float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def mean_loss(self) -> float:
        """Mean loss over the images of the epoch so far."""
        return float(self.loss) / max(self.images, 1)

    @property
    def seconds(self) -> float:
        """Wall time of the epoch so far, over all sessions."""
        return time.monotonic() - self.started

    def next_epoch(self) -> None:
        """The epoch under way is finished."""
        self.epoch += 1
        self.batch = self.images = 0
        self.loss = 0.0
        self.started = time.monotonic()

    def to_state(self) -> dict[str, Any]:
        """Plain numbers, for a checkpoint."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "images": self.images,
            "loss": float(self.loss),
            "seconds": self.seconds,
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Place:
        """What `to_state` was told of."""
        numbers = {name: value for name, value in state.items() if name != "seconds"}
        return cls(**numbers, started=time.monotonic() - state["seconds"])
