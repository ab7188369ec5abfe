"""Runs, or cross-validations, compared on the images that all of them were judged on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from finetune.errors import RunError
from finetune.evaluation.comparison import CountedScores, PairedComparison, compare_pair, holm
from finetune.evaluation.paired_folds import compare_folds
from finetune.experiments.compared import ComparedRuns, Pair
from finetune.experiments.directory import ExperimentDirectory
from finetune.experiments.judged_folds import check_same_folds, read_folded
from finetune.experiments.judged_images import Cost, Side, check_same, read_side

_Compared = Callable[[np.ndarray, np.ndarray], PairedComparison]


def compare_folders(
    folders: Sequence[Path], *, confidence: float, resamples: int, seed: int
) -> ComparedRuns:
    """Compare what runs, folders of `finetune evaluate` or cross-validations say of their images.

    Raises:
        RunError: There are no predictions in one, they were judged on other images or in other
            folds, or some are cross-validations and some are not.
    """
    options = {"confidence": confidence, "resamples": resamples, "seed": seed}
    folded = [ExperimentDirectory(folder).begun for folder in folders]
    if all(folded):
        return _compare_folded(folders, options)
    if any(folded):
        raise _mixed(folders[folded.index(True)], folders[folded.index(False)])
    return _compare_runs(folders, options)


def _mixed(cross_validation: Path, run: Path) -> RunError:
    return RunError(
        f"is a cross-validation, and {run} is none: they were not judged by the same trainings",
        where=str(cross_validation),
        mend="Compare two cross-validations; or two runs, such as the one in its folder final.",
    )


def _compare_runs(folders: Sequence[Path], options: dict[str, Any]) -> ComparedRuns:
    sides = [read_side(folder) for folder in folders]
    for other in sides[1:]:
        check_same(sides[0], other)
    images = _Images.of(sides)
    shares = [side.probabilities(images.paths, images.classes) for side in sides]

    def compared(one: np.ndarray, other: np.ndarray) -> PairedComparison:
        return compare_pair(one, other, images.labels, images.units, **options)

    whole = np.ones((len(images.labels), 1))
    own = [CountedScores(each, images.labels)(whole).mean(1) for each in shares]
    return images.result(shares, _pairs(shares, compared), own, sides, options["confidence"])


def _compare_folded(folders: Sequence[Path], options: dict[str, Any]) -> ComparedRuns:
    folded = [read_folded(folder) for folder in folders]
    for other in folded[1:]:
        check_same_folds(folded[0], other)
    sides = [each.images for each in folded]
    images = _Images.of(sides)
    shares = [each.probabilities(images.paths, images.classes) for each in folded]
    folds = folded[0].cut_of(images.paths)

    def compared(one: np.ndarray, other: np.ndarray) -> PairedComparison:
        return compare_folds(one, other, images.labels, folds, images.units, **options)

    own = [folds.scores(each, images.labels).mean(1) for each in shares]
    means = [each.mean(0) for each in shares]
    pairs = _pairs(shares, compared)
    done = images.result(means, pairs, own, sides, options["confidence"])
    return replace(done, folds=len(np.unique(folds.numbers)), repeats=len(folds.numbers))


def _pairs(shares: Sequence[np.ndarray], compared: _Compared) -> tuple[Pair, ...]:
    """Each against each after it, with p values corrected for their number."""
    places = list(combinations(range(len(shares)), 2))
    found = [compared(shares[i], shares[j]) for i, j in places]
    corrected = holm([difference.p_value for difference in found])
    return tuple(
        Pair(*place, difference, p)
        for place, difference, p in zip(places, found, corrected, strict=True)
    )


@dataclass(frozen=True)
class _Images:
    """The images that all were judged on.

    Attributes:
        paths: Sorted.
        names: Of the class of each.
        classes: All classes, sorted.
        labels: Class indices ``[N]``.
        units: The group of each as an index, ``[N]``; None: each for itself.
    """

    paths: tuple[str, ...]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    units: np.ndarray | None

    @classmethod
    def of(cls, sides: Sequence[Side]) -> _Images:
        """Those of sides that have the same."""
        paths = tuple(sorted(sides[0].said))
        names = tuple(sides[0].said[path].label for path in paths)
        classes = tuple(sorted({*names, *(name for side in sides for name in side.classes)}))
        labels = np.array([classes.index(name) for name in names])
        return cls(paths, names, classes, labels, _units(paths, sides))

    def result(
        self,
        shares: Sequence[np.ndarray],
        pairs: tuple[Pair, ...],
        own: Sequence[np.ndarray],
        sides: Sequence[Side],
        confidence: float,
    ) -> ComparedRuns:
        """The comparison; ``shares`` are ``[N, C]`` and say what each of ``sides`` predicted."""
        said = [[self.classes[place] for place in each.argmax(1)] for each in shares]
        return ComparedRuns(
            names=tuple(side.name for side in sides),
            scores=tuple(_told(s, side.cost) for s, side in zip(own, sides, strict=True)),
            pairs=pairs,
            paths=self.paths,
            labels=self.names,
            predicted=tuple(tuple(each) for each in said),
            classes=self.classes,
            confidence=confidence,
            grouped=self.units is not None,
            split=sides[0].split,
        )


def _units(paths: Sequence[str], sides: Sequence[Side]) -> np.ndarray | None:
    """The group of each image as an index; an image without one is a group of its own."""
    groups: dict[str, str] = {}
    for side in sides:
        groups |= side.groups
    if not any(path in groups for path in paths):
        return None
    names = [f"group/{groups[path]}" if path in groups else f"path/{path}" for path in paths]
    return np.asarray(np.unique(names, return_inverse=True)[1])


def _told(scores: np.ndarray, cost: Cost) -> dict[str, float | None]:
    accuracy, log_loss, _ = scores.tolist()
    return {
        "accuracy": accuracy,
        "log_loss": log_loss,
        "parameters": cost.parameters,
        "seconds": cost.seconds,
    }
