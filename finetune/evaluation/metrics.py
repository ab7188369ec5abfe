"""The scores of a classifier on one part of the data, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score

from finetune.evaluation.calibration import softmax
from finetune.evaluation.clusters import Groups
from finetune.evaluation.estimates import Answers, estimate
from finetune.evaluation.intervals import Score
from finetune.evaluation.reliability import error_by_chance
from finetune.evaluation.trust import unsure
from finetune.evaluation.values import macro_f1, mean_log_loss, recall

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
    groups: Groups | None = None,
) -> dict[str, Any]:
    """The contents of ``metrics.json``, as JSON types.

    Shares of images (accuracy, ``top_k``, ``baseline``, and each class's precision and recall) have
    Wilson intervals; `estimate` says what the other scores have. Of images in groups, intervals
    are as wide as the groups are alike (`finetune.evaluation.clusters`). Classes of which the part
    holds no image have no recall and no F1, and means over classes leave them out; taking another
    class for one of them still costs that class its recall.

    - ``log_loss``: in nats.
    - ``brier``: the squared error summed over classes, 0 to 2.
    - ``ece``: mean distance between confidence and accuracy over 15 equal bins of confidence;
      not corrected for its upward bias on few images. ``ece_by_chance``: what it would be
      through chance alone, of right probabilities.
    - ``roc_auc``: of the second class where there are two, else the mean over classes of one
      against the rest. ``average_precision``: the mean over classes.
    - ``top_k``: share of images whose class is among the k most probable ones.
    - ``baseline``: accuracy of always answering the class that is commonest in training.
    - ``confusion``: rows are true classes, columns predicted ones.
    - ``unsure``: the scores that can't be relied on, and why.

    Args:
        probabilities: ``[N, C]``; rows sum to 1.
        labels: Class indices ``[N]``.
        classes: The C classes' names, sorted.
        split: The part's name.
        confidence: Coverage of the intervals.
        resamples: Bootstrap resamplings.
        seed: Of the resamplings.
        majority: Index of the class that is commonest in training.
        groups: The images' groups ``[N]``; None: each its own.
    """
    answers = Answers(probabilities.astype(np.float64), labels, groups, confidence)
    confusion = confusion_matrix(answers.probabilities, labels)
    ranks = ranks_of_truth(answers.probabilities, labels)
    estimates = estimate(answers, resamples, seed)
    chance = error_by_chance(answers.probabilities) if len(labels) else None
    return {
        "split": split,
        "n": len(labels),
        "groups": len(labels) if groups is None else len(np.unique(groups)),
        "classes": list(classes),
        "confidence": confidence,
        "accuracy": answers.share(ranks == 0).to_dict(),
        **{name: score.to_dict() for name, score in estimates.items()},
        "ece_by_chance": chance,
        "top_k": {str(k): answers.share(ranks < k).to_dict() for k in TOP_K if k < len(classes)},
        "baseline": {"majority": answers.share(labels == majority).to_dict()},
        "per_class": per_class(answers, classes, confusion.sum(1)),
        "confusion": confusion.tolist(),
        "unsure": unsure(labels, classes, groups, estimates["ece"].value, chance),
    }


def epoch_scores(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> dict[str, float]:
    """Scores of logits ``[N, C]``, N > 0, by name; ``log_loss`` in nats.

    The others are ``accuracy``, ``balanced_accuracy`` and ``macro_f1``.
    """
    probabilities = softmax(logits, 1.0)
    predicted, present = probabilities.argmax(1), np.unique(labels)
    return {
        "log_loss": mean_log_loss(probabilities, labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": recall(labels, predicted, present),
        "macro_f1": macro_f1(labels, predicted, present),
    }


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


class ClassScores(Protocol):
    """What tells precision, recall and F1 of a class by its index."""

    def precision(self, c: int) -> Score:
        """The share of right ones of what was taken for class ``c``."""

    def recall(self, c: int) -> Score:
        """The share of right ones of what is of class ``c``."""

    def f1(self, c: int) -> Score:
        """The F1 of class ``c``."""


def per_class(
    answers: ClassScores, classes: Sequence[str], support: npt.NDArray[np.integer]
) -> dict[str, dict[str, Any]]:
    """Each class's precision, recall, F1 and images, as JSON types.

    Args:
        answers: What is scored.
        classes: The C classes' names.
        support: How many images are of each class, ``[C]``.
    """
    return {
        name: {
            "precision": answers.precision(c).to_dict(),
            "recall": answers.recall(c).to_dict(),
            "f1": answers.f1(c).to_dict(),
            "support": int(support[c]),
        }
        for c, name in enumerate(classes)
    }
