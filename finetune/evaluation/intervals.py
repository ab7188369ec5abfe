"""A score with its interval, and the interval of a share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, fmean, stdev

from scipy.special import gammaincinv, stdtr, stdtrit


@dataclass(frozen=True, slots=True)
class Score:
    """A score and how far off it may be; all three are None where it is undefined.

    Attributes:
        value: The score on the images at hand.
        low: Lower end of its interval; never above ``value``.
        high: Upper end; never below ``value``.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """As JSON types."""
        return asdict(self)


UNDEFINED = Score()
"""The score of nothing."""


def wilson(successes: float, n: float, confidence: float) -> Score:
    """A share of ``n`` independent trials with Wilson's score interval.

    It keeps close to its nominal coverage for few trials and shares near 0 or 1, and has a width
    even where all trials succeeded (Wilson 1927, "Probable inference, the law of succession, and
    statistical inference"; recommended by Agresti and Coull 1998 and by Brown, Cai and
    DasGupta 2001).

    Args:
        successes: How many trials succeeded; a fraction where each was made several times over,
            and the mean is taken.
        n: How many there were; with none the share is undefined.
        confidence: Coverage of the interval, 0.95 for 95 %.
    """
    return effective_wilson(successes / n, n, confidence) if n else UNDEFINED


def wilson_of_few(successes: float, n: float, confidence: float) -> Score:
    """Wilson's interval as Brown, Cai and DasGupta 2001 (section 4.1.1) modify it near the ends.

    With ten trials and a share of 0.98, Wilson's holds the truth in 84 of 100 samples where 95 are
    promised. Where one or two trials failed (or three, of more than 50), the upper end is at least
    that of a Poisson number of failures, and the lower end likewise; that leaves 91 of 100 at the
    worst share, and 95 or 96 on average.

    Args:
        successes: How many trials succeeded; a fraction as in `wilson`.
        n: How many there were; with none the share is undefined.
        confidence: Coverage of the interval.
    """
    score = wilson(successes, n, confidence)
    if score.low is None or score.high is None:
        return score
    failures, few = n - successes, 2 if n <= 50 else 3
    low, high = score.low, score.high
    if 1 <= successes <= few:
        low = min(low, float(gammaincinv(successes, 1 - confidence)) / n)
    if 1 <= failures <= few:
        high = max(high, 1 - float(gammaincinv(failures, 1 - confidence)) / n)
    return Score(score.value, low, high)


def effective_wilson(share: float, n: float, confidence: float) -> Score:
    """Wilson's interval of a share that tells as much as ``n`` independent trials would.

    The effective number of trials takes the place of the number, as Korn and Graubard 1998
    ("Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data") do it for samples whose units are not independent.

    Args:
        share: From 0 to 1.
        n: Above 0; need not be whole.
        confidence: Coverage of the interval.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    shrink = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    reach = z / shrink * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At shares of 0 and 1 an end is exactly the share; rounding must not put it past that.
    return Score(share, max(0.0, min(centre - reach, share)), min(1.0, max(centre + reach, share)))


def corrected_resampled_t(
    values: Sequence[float], judged_per_learnt: float, confidence: float
) -> Score:
    """The mean of a score over trainings that share their images, with its interval.

    With J trainings the interval is ``mean ± t * sqrt((1 / J + n_test / n_train) * s**2)``: s is
    the standard deviation of the ``values`` (J - 1 in the denominator) and t the quantile of
    Student's distribution with J - 1 degrees of freedom. ``1 / J`` alone would take the trainings
    for independent; as they learn from mostly the same images, intervals would be too narrow and
    get ever narrower with more repeats. (Nadeau and Bengio 2003, "Inference for the generalization
    error", Machine Learning 52, the corrected resampled t; for repeated cross-validation Bouckaert
    and Frank 2004, with J = folds * repeats.)

    Args:
        values: The score of each training, J of them.
        judged_per_learnt: ``n_test / n_train``: images that judge a training for each that it
            learns from.
        confidence: Coverage of the interval.

    Returns:
        Undefined for fewer than two values: one training says nothing of its spread.
    """
    count = len(values)
    if count < 2:
        return UNDEFINED
    reach = float(stdtrit(count - 1, (1 + confidence) / 2)) * _error(values, judged_per_learnt)
    return Score(fmean(values), fmean(values) - reach, fmean(values) + reach)


def corrected_resampled_p(differences: Sequence[float], judged_per_learnt: float) -> float:
    """The p value, two-sided, of the test that goes with `corrected_resampled_t`.

    How often two recipes that are equally good would differ so much on average. 1 where they
    differ in no training.

    Args:
        differences: Of a score in each training, two or more of them.
        judged_per_learnt: As there.
    """
    mean = abs(fmean(differences))
    if not mean:
        return 1.0
    error = _error(differences, judged_per_learnt)
    return 2 * float(stdtr(len(differences) - 1, -mean / error)) if error else 0.0


def _error(values: Sequence[float], judged_per_learnt: float) -> float:
    return stdev(values) * math.sqrt(1 / len(values) + judged_per_learnt)


def at_least_as_wide(
    score: Score, floor: Score, highest: float = math.inf, lowest: float = 0.0
) -> Score:
    """``score`` with an interval that reaches as far from its value as ``floor``'s does from its.

    It ends at ``lowest`` and at ``highest``. An undefined ``floor`` changes nothing but that.
    """
    if score.value is None or score.low is None or score.high is None:
        return UNDEFINED
    down, up = score.value - score.low, score.high - score.value
    if floor.value is not None and floor.low is not None and floor.high is not None:
        down, up = max(down, floor.value - floor.low), max(up, floor.high - floor.value)
    low, high = max(lowest, score.value - down), min(highest, score.value + up)
    return Score(score.value, min(low, score.value), max(high, score.value))
