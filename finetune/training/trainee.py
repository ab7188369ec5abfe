"""A network as a phase by gradient trains it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from finetune.recipe.schema import GradientPhase
from finetune.training.freeze import FreezePlan


@dataclass(frozen=True)
class Trainee:
    """A network of which a phase trains some stages.

    Attributes:
        model: The network; which parameters want gradients, and its modes, are as ``plan`` says.
        plan: What trains.
        phase: How it trains.
        position: The phase's place in the recipe, from 0; part of every seed.
    """

    model: nn.Module
    plan: FreezePlan
    phase: GradientPhase
    position: int

    @classmethod
    def of(cls, model: nn.Module, phase: GradientPhase, position: int) -> Trainee:
        """``model`` itself, made ready for ``phase``.

        Raises:
            RecipeError: It has no such stage as the phase trains.
        """
        plan = FreezePlan.of(model, phase.train, phase.batch_norm)
        plan.apply(model)
        return cls(model, plan, phase, position)
