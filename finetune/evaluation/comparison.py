"""Two classifiers on the same images: paired differences, and whether chance would explain them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from finetune.evaluation.bootstrap import resample
from finetune.evaluation.intervals import Score

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LEAST = 5e-7
"""Probabilities below it count as this: files hold six decimals, and 0.000000 is not nought."""

_CHUNK = 2_000_000


@dataclass(frozen=True)
class ClassCount:
    """Images of one class by who was right.

    Attributes:
        only_first: The first classifier alone.
        only_second: The second alone.
        images: All of the class.
    """

    only_first: int
    only_second: int
    images: int


@dataclass(frozen=True)
class PairedComparison:
    """The first classifier's scores less the second's, on the same N images.

    Attributes:
        accuracy: Difference, with its interval.
        log_loss: Difference in nats; below 0 the first one is better.
        macro_f1: Difference.
        only_first: Images that the first alone had right.
        only_second: Images that the second alone had right.
        p_value: Of McNemar's exact test.
        per_class: Wins and losses by class, ``[C]``.
    """

    accuracy: Score
    log_loss: Score
    macro_f1: Score
    only_first: int
    only_second: int
    p_value: float
    per_class: tuple[ClassCount, ...]


def compare_pair(
    first: Array,
    second: Array,
    labels: Indices,
    units: Indices | None,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> PairedComparison:
    """Differences of two classifiers, by a paired bootstrap, and McNemar's test.

    Both are scored on the same resamplings, so that what makes images hard for both cancels out.
    Images are drawn within their classes; where there are groups, whole groups are drawn. The
    accuracy's interval is never narrower than Agresti and Min's (`paired_shares`), which has a
    width even where the two differ on no image.

    Args:
        first: Probabilities ``[N, C]``.
        second: Probabilities ``[N, C]`` of the same images.
        labels: Class indices ``[N]``.
        units: The group of each image as an index, ``[N]``; None: each image for itself.
        confidence: Coverage of the intervals.
        resamples: Bootstrap resamplings.
        seed: Of the resamplings.
    """
    right = first.argmax(1) == labels, second.argmax(1) == labels
    wins, losses = right[0] & ~right[1], right[1] & ~right[0]
    scores = [CountedScores(each, labels) for each in (first, second)]

    def difference(counts: Array) -> Array:
        return scores[0](counts) - scores[1](counts)

    draws = resample(labels, resamples, seed) if units is None else _groups(units, resamples, seed)
    accuracy, log_loss, macro_f1 = _intervals(difference, draws, len(labels), confidence)
    return PairedComparison(
        accuracy=_widened(accuracy, int(wins.sum()), int(losses.sum()), len(labels), confidence),
        log_loss=log_loss,
        macro_f1=macro_f1,
        only_first=int(wins.sum()),
        only_second=int(losses.sum()),
        p_value=mcnemar(int(wins.sum()), int(losses.sum())),
        per_class=count_by_class(wins, losses, labels, first.shape[1]),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """The p value of McNemar's exact test (1947), two-sided; 1 where the two never differ.

    If both are equally good, each image that one alone has right is as likely the first's as the
    second's: a binomial test of a half.
    """
    if not only_first + only_second:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number (Holm 1979), in their order.

    The smallest is multiplied by how many there are, the next by one fewer, and so on; none is
    below one that was smaller, and none above 1.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def paired_shares(only_first: int, only_second: int, n: int, confidence: float) -> Score:
    """The difference of two shares of the same ``n`` images, by Agresti and Min (2005).

    Half an image is added to each of the four cells (both right, one, the other, none) before the
    usual interval is taken ("Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24); ``value`` is the plain difference.
    """
    total, gain = n + 2, only_first - only_second
    error = math.sqrt(only_first + only_second + 1 - gain**2 / total) / total
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return Score(gain / n, gain / total - reach, gain / total + reach)


class CountedScores:
    """Accuracy, log loss and macro F1 for counts ``[N, B]``: ``[3, B]``.

    Args:
        probabilities: ``[N, C]``.
        labels: Class indices ``[N]``.
    """

    def __init__(self, probabilities: Array, labels: Indices) -> None:
        classes = probabilities.shape[1]
        predicted = probabilities.argmax(1)
        self.right = (predicted == labels).astype(np.float64)
        own = probabilities[np.arange(len(labels)), labels]
        self.losses = -np.log(np.clip(own, LEAST, 1.0))
        self.own = (labels == np.arange(classes)[:, None]).astype(np.float64)
        self.said = (predicted == np.arange(classes)[:, None]).astype(np.float64)

    def __call__(self, counts: Array) -> Array:
        """The scores where each image counts so often."""
        total = counts.sum(0)
        means = np.stack([self.right @ counts, self.losses @ counts]) / total
        support, said = self.own @ counts, self.said @ counts
        hits = (self.own * self.right) @ counts
        present = support > 0
        f1 = np.where(present, 2 * hits / np.maximum(support + said, 1), 0.0)
        return np.vstack([means, f1.sum(0) / present.sum(0)])


def _groups(units: Indices, resamples: int, seed: int) -> Iterator[Array]:
    """How often each image counts, ``[N, B]``, where whole groups are drawn with replacement."""
    generator = np.random.default_rng(seed)
    count = int(units.max()) + 1
    width = max(1, _CHUNK // len(units))
    for start in range(0, resamples, width):
        columns = min(width, resamples - start)
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=columns)
        yield drawn.T[units].astype(np.float64)


def _intervals(
    difference: Callable[[Array], Array], draws: Iterator[Array], count: int, confidence: float
) -> list[Score]:
    values = difference(np.ones((count, 1)))[:, 0]
    drawn = np.concatenate([difference(part) for part in draws], axis=1)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return [
        Score(float(value), float(min(a, value)), float(max(b, value)))
        for value, a, b in zip(values, low, high, strict=True)
    ]


def _widened(score: Score, wins: int, losses: int, n: int, confidence: float) -> Score:
    least = paired_shares(wins, losses, n, confidence)
    assert score.low is not None
    assert score.high is not None
    assert least.low is not None
    assert least.high is not None
    return Score(score.value, min(score.low, least.low), max(score.high, least.high))


def count_by_class(
    wins: npt.NDArray[np.bool_], losses: npt.NDArray[np.bool_], labels: Indices, classes: int
) -> tuple[ClassCount, ...]:
    """Wins and losses ``[N]`` by class."""
    columns = (np.bincount(labels[each], minlength=classes) for each in (wins, losses))
    images = np.bincount(labels, minlength=classes)
    return tuple(
        ClassCount(int(won), int(lost), int(all_))
        for won, lost, all_ in zip(*columns, images, strict=True)
    )
