"""The scores of a classifier on one part of the data, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
)

from finetune.evaluation.bootstrap import intervals
from finetune.evaluation.calibration import softmax
from finetune.evaluation.intervals import UNDEFINED, Score, wilson
from finetune.evaluation.weighted import BINS, WeightedScores, briers

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]

TOP_K = (2, 3, 5)
"""Of how many answers one may be right, where there are more classes than that."""


def scores(
    probabilities: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    classes: Sequence[str],
    *,
    split: str,
    confidence: float,
    resamples: int,
    seed: int,
    majority: int,
) -> dict[str, Any]:
    """The contents of ``metrics.json``, as JSON types.

    Shares of images (accuracy, ``top_k``, ``baseline``, and each class's precision and recall) have
    Wilson intervals, the other scores stratified bootstrap ones. Classes of which the part holds
    no image have no recall and no F1, and means over classes leave them out; taking another class
    for one of them still costs that class its recall.

    - ``log_loss``: in nats.
    - ``brier``: the squared error summed over classes, 0 to 2.
    - ``ece``: mean distance between confidence and accuracy over 15 equal bins of confidence;
      not corrected for its upward bias on few images.
    - ``roc_auc``: of the second class where there are two, else the mean over classes of one
      against the rest. ``average_precision``: the mean over classes.
    - ``top_k``: share of images whose class is among the k most probable ones.
    - ``baseline``: accuracy of always answering the class that is commonest in training.
    - ``confusion``: rows are true classes, columns predicted ones.

    A bootstrap sees only the errors that are there: without any, balanced accuracy and F1 have an
    interval of no width. The accuracy's tells then how sure they are.

    Args:
        probabilities: ``[N, C]``; rows sum to 1.
        labels: Class indices ``[N]``.
        classes: The C classes' names, sorted.
        split: The part's name.
        confidence: Coverage of the intervals.
        resamples: Bootstrap resamplings.
        seed: Of the resamplings.
        majority: Index of the class that is commonest in training.
    """
    exact = probabilities.astype(np.float64)
    confusion = confusion_matrix(exact, labels)
    bootstrapped = _bootstrapped(exact, labels, confidence, resamples, seed)
    class_f1 = [bootstrapped[str(c)] for c in range(len(classes))]
    ranks = ranks_of_truth(exact, labels)

    def share(hits: npt.NDArray[np.bool_]) -> dict[str, float | None]:
        return wilson(int(hits.sum()), len(labels), confidence).to_dict()

    return {
        "split": split,
        "n": len(labels),
        "classes": list(classes),
        "confidence": confidence,
        "accuracy": share(ranks == 0),
        **{name: bootstrapped[name].to_dict() for name in WeightedScores.names},
        "top_k": {str(k): share(ranks < k) for k in TOP_K if k < len(classes)},
        "baseline": {"majority": share(labels == majority)},
        "per_class": per_class(confusion, classes, class_f1, confidence),
        "confusion": confusion.tolist(),
    }


def epoch_scores(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> dict[str, float]:
    """``log_loss`` in nats, ``accuracy`` and ``balanced_accuracy`` of logits ``[N, C]``; N > 0."""
    probabilities = softmax(logits, 1.0)
    predicted, present = probabilities.argmax(1), np.unique(labels)
    return {
        "log_loss": _log_loss(probabilities, labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": _recall(labels, predicted, present),
    }


def _bootstrapped(
    probabilities: Array, labels: Labels, confidence: float, resamples: int, seed: int
) -> dict[str, Score]:
    """The scores of `WeightedScores`, and each class's F1 under its index."""
    names = [*WeightedScores.names, *map(str, range(probabilities.shape[1]))]
    if not len(labels):
        return dict.fromkeys(names, UNDEFINED)
    found = intervals(
        point_values(probabilities, labels),
        WeightedScores(probabilities, labels),
        labels,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    return dict(zip(names, found, strict=True))


def point_values(probabilities: Array, labels: Labels) -> Array:
    """What `WeightedScores` gives for the images as they are, ``[7 + C]``.

    Not a number where a score is undefined.
    """
    predicted, present = probabilities.argmax(1), np.unique(labels)
    f1 = np.full(probabilities.shape[1], np.nan)
    f1[present] = f1_score(labels, predicted, labels=present, average=None, zero_division=0)
    means = (
        _recall(labels, predicted, present),
        float(f1[present].mean()),
        _log_loss(probabilities, labels),
        float(briers(probabilities, labels).mean()),
        calibration_error(probabilities, labels),
        *_ranking(probabilities, labels, present),
    )
    return np.concatenate([means, f1])


def _recall(labels: Labels, predicted: Labels, present: Labels) -> float:
    """Balanced accuracy: recall averaged over the classes ``present``."""
    return float(recall_score(labels, predicted, labels=present, average="macro", zero_division=0))


def _log_loss(probabilities: Array, labels: Labels) -> float:
    return float(log_loss(labels, probabilities, labels=range(probabilities.shape[1])))


def calibration_error(probabilities: Array, labels: Labels) -> float:
    """Expected calibration error over 15 equal bins of the top confidence (Guo et al. 2017)."""
    confidence = probabilities.max(1)
    gaps = confidence - (probabilities.argmax(1) == labels)
    edges = np.arange(1, BINS) / BINS
    sums = np.bincount(np.searchsorted(edges, confidence), weights=gaps, minlength=BINS)
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


def ranks_of_truth(probabilities: Array, labels: Labels) -> Labels:
    """How many classes are put before the true one, ``[N]``; of equals, the first comes first."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    return np.asarray(((probabilities > own) | ((probabilities == own) & before)).sum(1))


def confusion_matrix(probabilities: Array, labels: Labels) -> Labels:
    """Images of each class (rows) by the class they were taken for (columns), ``[C, C]``."""
    classes = probabilities.shape[1]  # scikit-learn's refuses a part without images
    cells = labels * classes + probabilities.argmax(1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def per_class(
    confusion: npt.NDArray[Any],
    classes: Sequence[str],
    f1: Sequence[Score],
    confidence: float,
) -> dict[str, dict[str, Any]]:
    """Each class's precision, recall, F1 and images.

    Args:
        confusion: ``[C, C]``; means over several answers to each image may be fractions.
        classes: The C classes' names.
        f1: Each class's F1, ``[C]``.
        confidence: Coverage of the intervals.
    """
    support, answers, hits = (each.tolist() for each in _margins(confusion))
    return {
        name: {
            "precision": wilson(hits[c], answers[c], confidence).to_dict(),
            "recall": wilson(hits[c], support[c], confidence).to_dict(),
            "f1": f1[c].to_dict(),
            "support": round(support[c]),
        }
        for c, name in enumerate(classes)
    }


def _margins(confusion: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    return confusion.sum(1), confusion.sum(0), confusion.diagonal()
