"""What to do where a phase can't go on."""

from __future__ import annotations

import numpy as np

from finetune.errors import TrainingError
from finetune.recipe.schema import GradientPhase


def lower_rate(phase: GradientPhase) -> str:
    """What to do where training ran away."""
    return f"Lower its rate: --set phases.{phase.name}.optimizer.lr={phase.optimizer.lr / 10:g}"


def smaller_batch(phase: GradientPhase) -> str:
    """What to do where a batch takes too much memory: the same gradient from smaller ones."""
    key = f"phases.{phase.name}"
    return (
        f"Smaller batches, summed to the same gradient: --set {key}.batch_size="
        f"{max(1, phase.batch_size // 2)} --set {key}.accumulate={phase.accumulate * 2}"
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
