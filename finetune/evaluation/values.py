"""The values of the scores that are no plain shares of images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
)

from finetune.evaluation.weighted import WeightedScores, briers, confidence_bins

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


def values(probabilities: Array, labels: Labels) -> dict[str, float]:
    """The scores by name, in `WeightedScores.names`' order; not a number where undefined.

    Args:
        probabilities: ``[N, C]``.
        labels: Class indices ``[N]``; at least one.
    """
    predicted, present = probabilities.argmax(1), np.unique(labels)
    found = (
        recall(labels, predicted, present),
        macro_f1(labels, predicted, present),
        mean_log_loss(probabilities, labels),
        float(briers(probabilities, labels).mean()),
        calibration_error(probabilities, labels),
        *_ranking(probabilities, labels, present),
    )
    return dict(zip(WeightedScores.names, found, strict=True))


def recall(labels: Labels, predicted: Labels, present: Labels) -> float:
    """Balanced accuracy: recall averaged over the classes ``present``."""
    return float(recall_score(labels, predicted, labels=present, average="macro", zero_division=0))


def macro_f1(labels: Labels, predicted: Labels, present: Labels) -> float:
    """F1 averaged over the classes ``present``."""
    return float(f1_score(labels, predicted, labels=present, average="macro", zero_division=0))


def mean_log_loss(probabilities: Array, labels: Labels) -> float:
    """In nats; probabilities are clipped as scikit-learn does."""
    return float(log_loss(labels, probabilities, labels=range(probabilities.shape[1])))


def calibration_error(probabilities: Array, labels: Labels) -> float:
    """Expected calibration error over 15 equal bins of the top confidence (Guo et al. 2017)."""
    confidence = probabilities.max(1)
    gaps = confidence - (probabilities.argmax(1) == labels)
    sums = np.bincount(confidence_bins(confidence), weights=gaps)
    return float(np.abs(sums).sum() / len(labels))


def _ranking(probabilities: Array, labels: Labels, present: Labels) -> tuple[float, float]:
    """Area under the ROC curve and average precision; not numbers where all are of one class."""
    if len(present) < 2:
        return np.nan, np.nan
    own = [(labels == c, probabilities[:, c]) for c in present]
    areas = [roc_auc_score(is_own, each) for is_own, each in own]
    precisions = [average_precision_score(is_own, each) for is_own, each in own]
    area = areas[-1] if probabilities.shape[1] == 2 else np.mean(areas)
    return float(area), float(np.mean(precisions))
