"""What weights say of images that they had not learnt from: it calibrates, and it doubts labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune.data.manifest import Item
from finetune.evaluation.calibration import fit_temperature
from finetune.training.judging import Verdict
from finetune.training.phases import PhaseResult
from finetune.training.setting import Setting


@dataclass(frozen=True)
class OutOfFold:
    """What is said of training images by weights that had not learnt from them.

    Attributes:
        items: The images.
        logits: float32 ``[M, C]``.
        temperature: What the logits are divided by.
    """

    items: Sequence[Item]
    logits: np.ndarray
    temperature: float


def calibration_set(
    kept: PhaseResult,
    verdict: Verdict | None,
    train: Sequence[Item],
    validation: Sequence[Item],
) -> tuple[np.ndarray, Sequence[Item], str]:
    """Images that the kept weights had not seen with their logits ``[M, C]``, and what they are."""
    if kept.out_of_fold is not None:
        return kept.out_of_fold, train, "training images, out-of-fold"
    if verdict is not None and verdict.out_of_fold:
        return verdict.logits, verdict.items, "training images, out-of-fold"
    return kept.judged, validation, "validation images"


def out_of_fold(
    setting: Setting,
    followed: Sequence[PhaseResult],
    verdict: Verdict | None,
    train: Sequence[Item],
) -> OutOfFold | None:
    """What there is out-of-fold of training images; None: nothing.

    A solved head has it of all of them, and so goes before the choice between phases, which is made
    on as many as that takes.

    Args:
        setting: What the run's fits share.
        followed: The phases of the main fit up to the one that is kept.
        verdict: The choice between phases, if there was one.
        train: The training images.
    """
    solved = [result.out_of_fold for result in followed if result.out_of_fold is not None]
    if solved:
        items, logits = train, solved[-1]
    elif verdict is not None and verdict.out_of_fold:
        items, logits = verdict.items, verdict.logits
    else:
        return None
    return OutOfFold(items, logits, temperature_of(setting, logits, setting.labels(items)))


def temperature_of(setting: Setting, logits: np.ndarray, labels: np.ndarray) -> float:
    """What logits ``[N, C]`` are divided by to be calibrated; 1 where nothing is to calibrate."""
    if setting.recipe.evaluate.calibrate == "none":
        return 1.0
    if not len(labels):
        setting.reporter.warn(
            "The probabilities are not calibrated: there is no validation part (data.val is 0)."
        )
        return 1.0
    return fit_temperature(logits, labels)
