"""Weights averaged over a phase's steps, or over its last epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from finetune.model.modes import evaluating
from finetune.recipe.schema import GradientPhase
from finetune.training.freeze import FreezePlan

Refresh = Callable[[int], None]
"""Computes BatchNorm's statistics of the network as it is, on the batches of an epoch, from 0."""


class Average:
    """A running mean of what a phase moves; the phase's own weights go on without it.

    `ema` follows every step, BatchNorm's statistics with the weights. Its decay begins low and
    rises as ``(1 + t) / (10 + t)`` after t steps up to the recipe's, as in TensorFlow's
    ExponentialMovingAverage, so that the weights that a short phase began with are forgotten.
    `swa` is the plain mean at the ends of the last epochs (Izmailov et al. 2018), of which nobody
    has seen the statistics: they are computed where BatchNorm learns them.

    Args:
        model: The network.
        plan: What trains.
        phase: Which mean is wanted.
        epochs: How many the phase has at most.
        refresh: Makes statistics of a mean.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: FreezePlan,
        phase: GradientPhase,
        epochs: int,
        refresh: Refresh,
    ) -> None:
        self.model, self.plan, self.phase = model, plan, phase
        self.epochs, self.refresh = epochs, refresh
        self.tensors = {name: value.clone() for name, value in plan.moving(model).items()}
        self.count = 0  # of what is in the mean: steps or epochs
        self.epoch = 0  # the last one in it
        self.fresh = True  # whether its statistics are its own

    @property
    def begun(self) -> bool:
        """Whether anything is in it."""
        return self.count > 0

    def after_step(self) -> None:
        """Take in the weights after a step."""
        if self.phase.ema:
            self.count += 1
            decay = min(self.phase.ema.decay, (1 + self.count) / (10 + self.count))
            self._take_in(1 - decay)

    def after_epoch(self, epoch: int) -> None:
        """Take in the weights after ``epoch``, from 1, once, if it is one of the last."""
        swa = self.phase.swa
        if swa and epoch > max(self.epoch, self.epochs - swa.epochs):
            self.count += 1
            self.epoch = epoch
            self._take_in(1 / self.count)
            self.fresh = self.phase.batch_norm != "train"

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The network has the mean for a while; then its own weights again."""
        own = {name: value.clone() for name, value in self.plan.moving(self.model).items()}
        try:
            self.settle()
            yield
        finally:
            self._load(own)

    def settle(self) -> None:
        """Give the network the mean, if anything is in it."""
        if not self.begun:
            return
        self._load(self.tensors)
        if not self.fresh:
            self.refresh(self.epoch - 1)
            self.tensors = {n: t.clone() for n, t in self.plan.moving(self.model).items()}
            self.fresh = True

    def state_dict(self) -> dict[str, Any]:
        """What a resumed phase needs."""
        place = {"count": self.count, "epoch": self.epoch, "fresh": self.fresh}
        return {"tensors": self.tensors, **place}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, value in self.tensors.items():
            value.copy_(state["tensors"][name])
        self.count, self.epoch, self.fresh = state["count"], state["epoch"], state["fresh"]

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        self.model.load_state_dict(self.model.state_dict() | tensors)

    def _take_in(self, weight: float) -> None:
        for name, value in self.plan.moving(self.model).items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, weight)
            else:
                self.tensors[name].copy_(value)


@torch.no_grad()
def refresh_statistics(
    model: nn.Module,
    plan: FreezePlan,
    batches: Iterator[torch.Tensor],
    forward: Callable[[torch.Tensor], object],
) -> None:
    """Make BatchNorm's statistics in stages that train the means over ``batches``, equally."""
    norms = list(plan.norms(model))
    momenta = [norm.momentum for norm in norms]
    try:
        with evaluating(model):  # dropout doesn't act
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean
                norm.train()
            for inputs in batches:
                forward(inputs)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
