"""The scores of a cross-validation: means over its trainings, and what all images say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finetune.evaluation.calibration import softmax
from finetune.evaluation.clusters import Groups
from finetune.evaluation.estimates import Answers
from finetune.evaluation.intervals import Score, at_least_as_wide, corrected_resampled_t
from finetune.evaluation.metrics import TOP_K, confusion_matrix, per_class, ranks_of_truth
from finetune.evaluation.reliability import error_by_chance
from finetune.evaluation.repeated import RepeatedAnswers, estimate_repeated
from finetune.evaluation.trust import unsure
from finetune.evaluation.values import values
from finetune.evaluation.weighted import WeightedScores

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_HIGHEST = {"log_loss": math.inf, "brier": 2.0}


@dataclass(frozen=True)
class JudgedFold:
    """A training and its answers to the images that it has not seen.

    Attributes:
        repeat: Which division into folds, from 1.
        fold: Which fold of it was left out, from 1.
        positions: Places of its images among all, ``[M]``.
        logits: Its answers, ``[M, C]``.
        temperature: What they are divided by.
        learnt: Images that it could learn from and choose on.
        majority: Index of the class that is commonest among those.
    """

    repeat: int
    fold: int
    positions: npt.NDArray[np.int64]
    logits: npt.NDArray[np.floating]
    temperature: float
    learnt: int
    majority: int


@dataclass(frozen=True)
class CrossValidatedScores:
    """Makes ``cv.json`` of folds.

    The value of a score is its mean over the folds of all repeats, its interval the corrected
    resampled t interval of Nadeau and Bengio (2003), `corrected_resampled_t`, with ``n_test /
    n_train`` from the folds themselves. That interval knows only the spread between folds, which
    is nil where every fold is right and can be small by luck. So on neither side is it narrower
    than that of the out-of-fold answers taken together, N images judged once, as `scores` would
    give it (`RepeatedAnswers`): with groups, it is as wide as those are alike.

    What is said of single classes (``per_class``) comes from the out-of-fold answers alone, as a
    fold may hold too few images of a class. ``confusion`` counts the answers of all repeats.
    ``ece_by_chance`` is a mean over folds, as ``ece`` is.

    Attributes:
        labels: Class indices of all images, ``[N]``.
        classes: The C classes' names, sorted.
        confidence: Coverage of the intervals.
        resamples: Bootstrap resamplings.
        seed: Of the resamplings.
        groups: The images' groups ``[N]``; None: each its own.
    """

    labels: Labels
    classes: Sequence[str]
    confidence: float
    resamples: int
    seed: int
    groups: Groups | None = None

    def of(self, folds: Sequence[JudgedFold]) -> dict[str, Any]:
        """The scores of ``folds``, which judge every image once in each repeat; as JSON types."""
        calibrated = _Folds(self, folds)
        tops = {str(k): calibrated.share(f"top_{k}") for k in TOP_K if k < len(self.classes)}
        error, chance = calibrated.score("ece"), calibrated.error_by_chance()
        return {
            "split": "out-of-fold",
            "n": len(self.labels),
            "groups": len(self.labels if self.groups is None else np.unique(self.groups)),
            "classes": list(self.classes),
            "confidence": self.confidence,
            "folds": max(fold.fold for fold in folds),
            "repeats": calibrated.repeats,
            "accuracy": calibrated.share("top_1"),
            **{name: calibrated.score(name) for name in WeightedScores.names},
            "ece_by_chance": chance,
            "top_k": tops,
            "baseline": {"majority": calibrated.share("majority")},
            "per_class": calibrated.per_class(),
            "confusion": calibrated.confusion.tolist(),
            "unsure": unsure(self.labels, self.classes, self.groups, error["value"], chance),
            "by_fold": calibrated.by_fold(),
        }


class _Folds:
    """All folds' calibrated probabilities, and their scores."""

    def __init__(self, about: CrossValidatedScores, folds: Sequence[JudgedFold]) -> None:
        self.about, self.folds = about, folds
        self.own = [about.labels[fold.positions] for fold in folds]
        self.parts = [softmax(fold.logits, fold.temperature) for fold in folds]
        self.hits = [self._hits(i) for i in range(len(folds))]
        self.values = [self._values(i) for i in range(len(folds))]
        self.repeats = max(fold.repeat for fold in folds)
        self.pooled = self._pooled()
        self.floors = estimate_repeated(self.pooled, about.resamples, about.seed)

    @property
    def confusion(self) -> npt.NDArray[np.integer]:
        """``[C, C]``, summed over repeats."""
        pairs = zip(self.parts, self.own, strict=True)
        return np.asarray(sum(confusion_matrix(part, own) for part, own in pairs))

    def score(self, name: str) -> dict[str, float | None]:
        """A score of `WeightedScores`."""
        return self._combined(name, self.floors[name], _HIGHEST.get(name, 1.0))

    def share(self, name: str) -> dict[str, float | None]:
        """A share of images."""
        hits = np.zeros((self.repeats, len(self.about.labels)), dtype=bool)
        for fold, each in zip(self.folds, self.hits, strict=True):
            hits[fold.repeat - 1, fold.positions] = each[name]
        return self._combined(name, self.pooled.share(list(hits)), 1.0)

    def error_by_chance(self) -> float:
        """What chance alone would make the calibration error of a fold, on average."""
        return float(np.mean([error_by_chance(part) for part in self.parts]))

    def per_class(self) -> dict[str, dict[str, Any]]:
        """Precision, recall and F1 of each class."""
        classes = self.about.classes
        support = np.bincount(self.about.labels, minlength=len(classes))
        return per_class(self.pooled, classes, support)

    def by_fold(self) -> list[dict[str, Any]]:
        """Each training's own scores, null where undefined."""
        names = ("top_1", *WeightedScores.names)
        return [
            {"repeat": fold.repeat, "fold": fold.fold, "n": len(own), "learnt_from": fold.learnt}
            | {_told(name): _finite(each[name]) for name in names}
            for fold, own, each in zip(self.folds, self.own, self.values, strict=True)
        ]

    def _combined(self, name: str, floor: Score, highest: float) -> dict[str, float | None]:
        found = [each[name] for each in self.values if math.isfinite(each[name])]
        ratio = float(np.mean([len(fold.positions) / fold.learnt for fold in self.folds]))
        mean = corrected_resampled_t(found, ratio, self.about.confidence)
        return at_least_as_wide(mean, floor, highest).to_dict()

    def _hits(self, position: int) -> dict[str, npt.NDArray[np.bool_]]:
        """Which of a fold's images count for each share."""
        own = self.own[position]
        ranks = ranks_of_truth(self.parts[position], own)
        tops = {f"top_{k}": ranks < k for k in (1, *TOP_K)}
        return {**tops, "majority": own == self.folds[position].majority}

    def _values(self, position: int) -> dict[str, float]:
        shares = {name: float(hits.mean()) for name, hits in self.hits[position].items()}
        return shares | values(self.parts[position], self.own[position])

    def _pooled(self) -> RepeatedAnswers:
        """The answers of each repeat to all images."""
        about = self.about
        pooled = np.empty((self.repeats, len(about.labels), len(about.classes)))
        for fold, part in zip(self.folds, self.parts, strict=True):
            pooled[fold.repeat - 1, fold.positions] = part
        each = (Answers(part, about.labels, about.groups, about.confidence) for part in pooled)
        return RepeatedAnswers(tuple(each))


def _told(name: str) -> str:
    return "accuracy" if name == "top_1" else name


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
