"""Answers to the same images several times over, as repeats of a cross-validation give them.

Repeats make no new images. So an interval here is as wide as one of the images answered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.evaluation.clusters import effective_size
from finetune.evaluation.estimates import Answers, estimate, f1_of
from finetune.evaluation.intervals import UNDEFINED, Score, effective_wilson, wilson_of_few

Marks = Sequence[npt.NDArray[np.bool_]]
"""Some of the images in each repeat, ``[R, N]``."""


@dataclass(frozen=True)
class RepeatedAnswers:
    """R answers to each of the same N images.

    Attributes:
        repeats: The answers of each repeat to all images, in the same order.
    """

    repeats: tuple[Answers, ...]

    def share(self, hits: Marks, among: Marks | None = None) -> Score:
        """The share of ``hits`` among all answers, or some.

        The interval is Wilson's of as many images as a repeat has on average; of images in groups,
        of as many as those are worth (`effective_size`). Some may be few: see `Answers.share`.
        """
        chosen = among or [np.ones(len(each), dtype=bool) for each in hits]
        counts = np.mean([each.sum() for each in chosen])
        if not counts:
            return UNDEFINED
        found = [hit[each] for hit, each in zip(hits, chosen, strict=True)]
        right = np.mean([each.sum() for each in found])
        first = self.repeats[0]
        if first.groups is None and among is not None:
            return wilson_of_few(float(right), float(counts), first.confidence)
        worth = np.mean([self._worth(*pair) for pair in zip(found, chosen, strict=True)])
        return effective_wilson(float(right / counts), float(worth), first.confidence)

    def recall(self, c: int) -> Score:
        """The share of right ones of the answers to images of class ``c``."""
        return self.share(self._correct, [each.labels == c for each in self.repeats])

    def precision(self, c: int) -> Score:
        """The share of right ones of the answers ``c``."""
        return self.share(self._correct, [each.predicted == c for each in self.repeats])

    def f1(self, c: int) -> Score:
        """The F1 of class ``c``; undefined where no image is of it."""
        if not (self.repeats[0].labels == c).any():
            return UNDEFINED
        either = [(each.labels == c) | (each.predicted == c) for each in self.repeats]
        return f1_of(self.share(self._correct, either))

    @property
    def _correct(self) -> Marks:
        return [each.correct for each in self.repeats]

    def _worth(self, found: npt.NDArray[np.bool_], chosen: npt.NDArray[np.bool_]) -> float:
        first = self.repeats[0]
        groups = None if first.groups is None else first.groups[chosen]
        return effective_size(found, groups, first.confidence) if len(found) else 0.0


def estimate_repeated(answers: RepeatedAnswers, resamples: int, seed: int) -> dict[str, Score]:
    """`estimate` of each repeat, and the means over repeats of the values and of both ends.

    So the interval is as wide as one repeat's: the images by chance easy or hard are the same
    in all of them, and a mean of what goes up and down together spreads no less.

    Args:
        answers: The answers that are scored.
        resamples: Resamplings behind the spreads.
        seed: Of the resamplings.
    """
    parts = [estimate(each, resamples, seed) for each in answers.repeats]
    return {name: _mean([part[name] for part in parts]) for name in parts[0]}


def _mean(parts: Sequence[Score]) -> Score:
    """The mean of values and of both ends; undefined where one is, as the labels are the same."""
    ends = np.array([(part.value, part.low, part.high) for part in parts], dtype=np.float64)
    return Score(*ends.mean(0).tolist()) if np.isfinite(ends).all() else UNDEFINED
