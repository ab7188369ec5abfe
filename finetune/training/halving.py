"""Successive halving of the rates that race for a phase (Jamieson & Talwalkar 2016).

Each rung has the same share of the race's images, divided among the rates that are left, so that
they train for longer the fewer they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from finetune.errors import RecipeError
from finetune.recipe.schema import GradientPhase
from finetune.text import plural
from finetune.training.length import images_passed, images_seen, steps_within


@dataclass(frozen=True)
class Rung:
    """One round of a race.

    Attributes:
        rates: How many take part.
        steps: Optimiser steps of each.
        images: Images that pass in them.
    """

    rates: int
    steps: int
    images: int


def rungs_of(phase: GradientPhase, images: int) -> tuple[Rung, ...]:
    """The rounds of the phase's race over ``images`` training images; none where none is held.

    Together they pass no more images than the phase does.

    Raises:
        RecipeError: The phase is too short to be divided so.
    """
    field = _field(len(phase.optimizer.raced))
    return tuple(_rung(phase, images, rates, len(field)) for rates in field)


def _field(rates: int) -> list[int]:
    """How many take part in each rung, until one is left."""
    return [rates, *_field(better_half(rates))] if rates > 1 else []


def _rung(phase: GradientPhase, images: int, rates: int, rungs: int) -> Rung:
    total = images_seen(phase, images)
    steps = steps_within(phase, images, total // (rungs * rates))
    if not steps:
        raise RecipeError(
            f"{len(phase.optimizer.raced)} rates can't race in a phase in which {total:,} images "
            f"pass, of {plural(images, 'training image')}: some would not do one step",
            where=f"phases.{phase.name}.optimizer.lr.race",
            mend="Name fewer rates, make the phase longer, or its batches smaller.",
        )
    return Rung(rates, steps, images_passed(phase, images, steps))


def better_half(rates: int) -> int:
    """How many of so many go on: of an odd number, the one in the middle too."""
    return math.ceil(rates / 2)


def survivors(losses: Mapping[float, float]) -> list[float]:
    """The better half of rates by their loss, rising; of equal losses, the lower rate's.

    Args:
        losses: Of each rate; infinite where training ran away.
    """
    ranked = sorted(losses, key=lambda rate: (losses[rate], rate))
    return sorted(ranked[: better_half(len(ranked))])
