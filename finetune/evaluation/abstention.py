"""Knowing when not to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

from finetune.evaluation.conformal import prediction_sets
from finetune.evaluation.novelty import distances
from finetune.evaluation.weighted import possible_losses
from finetune.text import listed

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Precision:
    """Confidence thresholds for a precision that was asked for.

    Attributes:
        target: The share of a class's answers that shall be right.
        thresholds: For each class, from which confidence on it is answered; None: never.
        images: How many images they were fitted on.
    """

    target: float
    thresholds: tuple[float | None, ...]
    images: int

    def reasons(self, probabilities: Array) -> list[str]:
        """Why each answer is not precise enough, ``[N]``; ``""`` where it is."""
        limits = np.array([np.inf if t is None else t for t in self.thresholds])
        below = probabilities.max(1) < limits[probabilities.argmax(1)]
        return [f"below the precision of {self.target:g}" if each else "" for each in below]


@dataclass(frozen=True)
class Conformal:
    """Prediction sets of a promised coverage.

    Attributes:
        coverage: How often the set holds the true class.
        limit: The log loss up to which a class is in the set.
        images: How many images it was fitted on.
    """

    coverage: float
    limit: float
    images: int

    def sets(self, probabilities: Array) -> npt.NDArray[np.bool_]:
        """Which classes are in each image's set, ``[N, C]``."""
        return prediction_sets(possible_losses(probabilities), self.limit)

    def reasons(self, probabilities: Array, classes: Sequence[str]) -> list[str]:
        """Why each set names no single class, ``[N]``; ``""`` where it does."""
        return [_of_set(list(compress(classes, s))) for s in self.sets(probabilities)]


@dataclass(frozen=True)
class Unlike:
    """What is unlike the training images.

    Attributes:
        share: How many of the pictures that are like them shall pass.
        limit: The distance from which on a picture is unlike them (`distances`).
        images: How many images it was fitted on.
        kept: Directions of training images' features, float16 ``[M, D]``.
    """

    share: float
    limit: float
    images: int
    kept: npt.NDArray[np.float16]

    def reasons(self, features: npt.NDArray[np.floating]) -> list[str]:
        """``unlike the training images`` or ``""`` for each of ``features`` ``[N, D]``."""
        far = distances(features, self.kept) > self.limit
        return ["unlike the training images" if each else "" for each in far]


@dataclass(frozen=True)
class Abstention:
    """All by which a classifier knows when not to answer; what it doesn't hold is None."""

    precision: Precision | None = None
    conformal: Conformal | None = None
    unlike: Unlike | None = None

    def __bool__(self) -> bool:
        return any((self.precision, self.conformal, self.unlike))

    def reasons(
        self,
        probabilities: Array,
        features: npt.NDArray[np.floating],
        classes: Sequence[str],
    ) -> list[str]:
        """Why each image is not answered, ``[N]``; ``""`` where it is.

        Args:
            probabilities: Calibrated, ``[N, C]``.
            features: What the classifier saw of the images, ``[N, D]``.
            classes: The C classes' names.
        """
        told = [
            self.unlike.reasons(features) if self.unlike else [],
            self.precision.reasons(probabilities) if self.precision else [],
            self.conformal.reasons(probabilities, classes) if self.conformal else [],
        ]
        held = [each for each in told if each]
        return ["; ".join(filter(None, image)) for image in zip(*held, strict=True)] or [""] * len(
            probabilities
        )


def _of_set(names: list[str]) -> str:
    if not names:
        return "no class is likely enough"
    return f"two or more classes are possible: {listed(names)}" if len(names) > 1 else ""
