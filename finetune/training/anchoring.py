"""Weights of the backbone held near where they were when pretrained: L2-SP.

Li, Grandvalet and Davoine 2018, "Explicit inductive bias for transfer learning with convolutional
networks": what weight decay does around zero, around the point that a training starts from.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from finetune.model.stages import HEAD
from finetune.recipe.schema import GradientPhase
from finetune.training.freeze import FreezePlan


class Anchor:
    """The penalty ``strength / 2 * |weights - start|^2``, as its gradient.

    It hangs on the weights alone, so that it is added once a step, whatever the step's batches.

    Args:
        weights: What is held.
        start: Where each of them is held; never changed.
        strength: Of the pull.
    """

    def __init__(
        self, weights: Sequence[nn.Parameter], start: Sequence[torch.Tensor], strength: float
    ) -> None:
        self.strength = strength
        self._held = list(zip(weights, start, strict=True))

    @classmethod
    def of(
        cls, pristine: nn.Module, model: nn.Module, plan: FreezePlan, phase: GradientPhase
    ) -> Anchor | None:
        """Hold what ``phase`` trains of the backbone; None where it asks for nothing of the kind.

        Norms and biases are held too: zero would be the wrong place for them, their own is not.

        Args:
            pristine: The pretrained network, on the device of ``model``.
            model: The network that trains; ``plan`` has been applied to it.
            plan: What trains.
            phase: How it trains.
        """
        if not phase.l2_sp:
            return None
        names = [
            name
            for stage in plan.stages
            if stage.name in plan.trained and stage.name != HEAD
            for name in stage.parameters
            if model.get_parameter(name).requires_grad
        ]
        start = [pristine.get_parameter(name).detach() for name in names]
        return cls([model.get_parameter(name) for name in names], start, phase.l2_sp)

    @torch.no_grad()
    def pull(self) -> None:
        """Add the penalty's gradient to that of each weight that has one."""
        held = [(w, start, w.grad) for w, start in self._held if w.grad is not None]
        if held:
            weights, starts, gradients = (list(each) for each in zip(*held, strict=True))
            away = torch._foreach_sub(weights, starts)
            torch._foreach_add_(gradients, away, alpha=self.strength)
