"""The scores of a cross-validation: means over its trainings, and what all images say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finetune.evaluation.bootstrap import intervals
from finetune.evaluation.calibration import softmax
from finetune.evaluation.intervals import Score, at_least_as_wide, corrected_resampled_t, wilson
from finetune.evaluation.metrics import (
    TOP_K,
    confusion_matrix,
    per_class,
    point_values,
    ranks_of_truth,
)
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
    than that of the out-of-fold answers taken together, N images judged once: Wilson's for shares,
    the stratified bootstrap's for the other scores. There an image is drawn with its answers from
    all repeats: repeats make no new images.

    What is said of single classes (``per_class``) comes from the out-of-fold answers alone, as a
    fold may hold too few images of a class. ``confusion`` counts the answers of all repeats.

    Attributes:
        labels: Class indices of all images, ``[N]``.
        classes: The C classes' names, sorted.
        confidence: Coverage of the intervals.
        resamples: Bootstrap resamplings.
        seed: Of the resamplings.
    """

    labels: Labels
    classes: Sequence[str]
    confidence: float
    resamples: int
    seed: int

    def of(self, folds: Sequence[JudgedFold]) -> dict[str, Any]:
        """The scores of ``folds``, which judge every image once in each repeat; as JSON types."""
        calibrated = _Answers(self, folds)
        tops = {str(k): calibrated.share(f"top_{k}") for k in TOP_K if k < len(self.classes)}
        return {
            "split": "out-of-fold",
            "n": len(self.labels),
            "classes": list(self.classes),
            "confidence": self.confidence,
            "folds": max(fold.fold for fold in folds),
            "repeats": max(fold.repeat for fold in folds),
            "accuracy": calibrated.share("top_1"),
            **{name: calibrated.score(name) for name in WeightedScores.names},
            "top_k": tops,
            "baseline": {"majority": calibrated.share("majority")},
            "per_class": calibrated.per_class(),
            "confusion": calibrated.confusion.tolist(),
            "by_fold": calibrated.by_fold(),
        }


class _Answers:
    """All folds' calibrated probabilities, and their scores."""

    def __init__(self, about: CrossValidatedScores, folds: Sequence[JudgedFold]) -> None:
        self.about, self.folds = about, folds
        self.own = [about.labels[fold.positions] for fold in folds]
        self.parts = [softmax(fold.logits, fold.temperature) for fold in folds]
        self.values = [self._values(i) for i in range(len(folds))]
        self.repeats = max(fold.repeat for fold in folds)
        self.floors = self._floors()

    @property
    def confusion(self) -> npt.NDArray[np.integer]:
        """``[C, C]``, summed over repeats."""
        pairs = zip(self.parts, self.own, strict=True)
        return np.asarray(sum(confusion_matrix(part, own) for part, own in pairs))

    def score(self, name: str) -> dict[str, float | None]:
        """A score of `WeightedScores`."""
        floor = self.floors[WeightedScores.names.index(name)]
        return self._combined(name, floor, _HIGHEST.get(name, 1.0))

    def share(self, name: str) -> dict[str, float | None]:
        """A share of images."""
        hits = sum(each[name] * len(own) for each, own in zip(self.values, self.own, strict=True))
        floor = wilson(hits / self.repeats, len(self.about.labels), self.about.confidence)
        return self._combined(name, floor, 1.0)

    def per_class(self) -> dict[str, dict[str, Any]]:
        """Precision, recall and F1 of each class."""
        mean = self.confusion / self.repeats
        f1 = self.floors[len(WeightedScores.names) :]
        return per_class(mean, self.about.classes, f1, self.about.confidence)

    def by_fold(self) -> list[dict[str, Any]]:
        """Each training's own scores, null where undefined."""
        names = ("top_1", *WeightedScores.names)
        return [
            {"repeat": fold.repeat, "fold": fold.fold, "n": len(own), "learnt_from": fold.learnt}
            | {_told(name): _finite(values[name]) for name in names}
            for fold, own, values in zip(self.folds, self.own, self.values, strict=True)
        ]

    def _combined(self, name: str, floor: Score, highest: float) -> dict[str, float | None]:
        values = [each[name] for each in self.values if math.isfinite(each[name])]
        ratio = float(np.mean([len(fold.positions) / fold.learnt for fold in self.folds]))
        mean = corrected_resampled_t(values, ratio, self.about.confidence)
        return at_least_as_wide(mean, floor, highest).to_dict()

    def _values(self, position: int) -> dict[str, float]:
        part, own = self.parts[position], self.own[position]
        ranks = ranks_of_truth(part, own)
        named = zip(WeightedScores.names, point_values(part, own), strict=False)
        return {
            **{f"top_{k}": float((ranks < k).mean()) for k in (1, *TOP_K)},
            "majority": float((own == self.folds[position].majority).mean()),
            **{name: float(value) for name, value in named},
        }

    def _floors(self) -> list[Score]:
        """The pooled scores of `WeightedScores`, with bootstrap intervals over images."""
        about, repeats = self.about, self.repeats
        pooled = np.empty((repeats, len(about.labels), len(about.classes)))
        for fold, part in zip(self.folds, self.parts, strict=True):
            pooled[fold.repeat - 1, fold.positions] = part
        rows, labels = pooled.reshape(-1, len(about.classes)), np.tile(about.labels, repeats)
        weighted = WeightedScores(rows, labels)
        return intervals(
            point_values(rows, labels),
            lambda counts: weighted(np.tile(counts, (repeats, 1))),
            about.labels,
            confidence=about.confidence,
            resamples=about.resamples,
            seed=about.seed,
        )


def _told(name: str) -> str:
    return "accuracy" if name == "top_1" else name


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
