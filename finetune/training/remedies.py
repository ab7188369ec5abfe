"""What to do where a phase can't go on."""

from __future__ import annotations

import numpy as np

from finetune.errors import TrainingError
from finetune.recipe.schema import GradientPhase


def lower_rate(phase: GradientPhase) -> str:
    """What to do where training ran away."""
    return f"Lower its rate: --set phases.{phase.name}.optimizer.lr={phase.optimizer.peak / 10:g}"


def less_memory(phase: GradientPhase, size: int) -> str:
    """What to do where not even one image fits the memory: batches are cut before that is told."""
    key = f"phases.{phase.name}.size" if phase.size else "input.size"
    return (
        f"Half the side takes a quarter of the memory: --set {key}={max(16, size // 2)}. Or "
        f"train fewer stages: --set phases.{phase.name}.train=last_1"
    )


def check_finite(logits: np.ndarray, phase: GradientPhase) -> None:
    """See to it that a trained network still answers with numbers.

    Raises:
        TrainingError: It doesn't.
    """
    if not np.isfinite(logits).all():
        raise TrainingError(
            f"the network's answers are no longer numbers in phase {phase.name}",
            mend=lower_rate(phase),
        )
