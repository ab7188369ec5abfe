"""How a score grows with the number of images: an inverse power law, and where it leads.

``score(n) = a - b * n ** -c`` for n images a class (Figueroa et al. 2012, "Predicting sample size
required for classification performance", BMC Medical Informatics 12; Mahmood et al. 2022, "How much
more data do I need?", who find that such laws promise too much when they are followed far).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

EXPONENTS = np.linspace(0.05, 2.0, 79)
"""The exponents c that are tried; between the ends lies all that is reported of classifiers."""

FEWEST = 4
"""Sizes: three parameters go through three points whatever they are."""

FARTHEST = 5.0
"""Times the largest measured size to which a law is followed."""


@dataclass(frozen=True)
class PowerLaw:
    """``sign * (a - b * n ** -c)``, of scores that are better when higher (sign 1) or lower (-1).

    Attributes:
        limit: a times the sign: what endless images would reach.
        gain: b, not below 0.
        exponent: c.
        sign: 1 or -1.
    """

    limit: float
    gain: float
    exponent: float
    sign: float

    def at(self, n: float) -> float:
        """The score for ``n`` images a class."""
        return self.limit - self.sign * self.gain / float(n**self.exponent)


def fit_power_laws(sizes: Array, values: Array, *, sign: float, best: float) -> list[PowerLaw]:
    """The laws nearest to B curves, by weighted least squares.

    The j-th of m sizes has the weight ``j / m`` (Figueroa et al.): what comes next is likest the
    largest. For each exponent the rest is a linear problem; of all `EXPONENTS` the best is taken,
    so that there is no starting point to hang on.

    Args:
        sizes: Images a class, rising, ``[S]``.
        values: The scores of each curve, ``[S, B]``.
        sign: 1 where higher is better, -1 where lower is.
        best: What no score can pass: 1 for an accuracy, 0 for a log loss.
    """
    weights = np.arange(1, len(sizes) + 1)[:, None] / len(sizes)
    fits = np.stack(
        [_at_exponent(sizes[:, None] ** -c, sign * values, weights, sign * best) for c in EXPONENTS]
    )  # [exponents, 3, B]
    nearest = fits[:, 0].argmin(0)
    _, limits, gains = np.take_along_axis(fits, nearest[None, None], axis=0)[0]
    found = zip(limits.tolist(), gains.tolist(), EXPONENTS[nearest].tolist(), strict=True)
    return [PowerLaw(sign * limit, gain, exponent, sign) for limit, gain, exponent in found]


def _at_exponent(falls: Array, values: Array, weights: Array, best: float) -> Array:
    """The weighted squared error, a and b of each curve, ``[3, B]``; ``a <= best``, ``b >= 0``."""
    total = weights.sum()
    mean_fall, means = (weights * falls).sum() / total, (weights * values).sum(0) / total
    apart = weights * (falls - mean_fall)
    gains = np.maximum(0.0, -(apart * (values - means)).sum(0) / (apart * falls).sum())
    limits = means + gains * mean_fall
    tied = np.maximum(0.0, (weights * falls * (best - values)).sum(0) / (weights * falls**2).sum())
    gains, limits = np.where(limits > best, tied, gains), np.minimum(limits, best)
    errors = (weights * (values - limits + gains * falls) ** 2).sum(0)
    return np.stack([errors, limits, gains])


@dataclass(frozen=True)
class Forecast:
    """What more images would change, by the law, or why that can't be told.

    Attributes:
        law: The law that fits the means best.
        change: What the score would change by.
        low: Lower end of its interval.
        high: Upper end.
        doubt: Why it can't be told; ``""`` where it can.
    """

    law: PowerLaw
    change: float
    low: float
    high: float
    doubt: str


def forecast(
    sizes: Array,
    values: Array,
    drawn: Array,
    more: int,
    *,
    sign: float,
    best: float,
    confidence: float,
) -> Forecast:
    """How far ``more`` images a class would take the score beyond the largest size.

    The interval holds what the law says of resampled curves; it does not hold the chance that
    growth follows another law.

    Args:
        sizes: Images a class, rising, ``[S]``.
        values: The scores, ``[S]``.
        drawn: The scores of B resamplings of repeats and test images, ``[S, B]``.
        more: Images a class beyond the largest size.
        sign: 1 where higher is better, -1 where lower is.
        best: What no score can pass.
        confidence: Coverage of the interval.
    """
    (law,) = fit_power_laws(sizes, values[:, None], sign=sign, best=best)
    laws = fit_power_laws(sizes, drawn, sign=sign, best=best)
    changes = np.array([each.at(sizes[-1] + more) - each.at(sizes[-1]) for each in laws])
    low, high = np.quantile(changes, [(1 - confidence) / 2, (1 + confidence) / 2])
    change = law.at(sizes[-1] + more) - law.at(sizes[-1])
    rising = float(np.mean(sign * (drawn[-1] - drawn[0]) > 0))
    doubt = _doubt(sizes, law, more, certain=rising >= (1 + confidence) / 2)
    return Forecast(law, change, min(float(low), change), max(float(high), change), doubt)


def _doubt(sizes: Array, law: PowerLaw, more: int, *, certain: bool) -> str:
    """Why the law is not to be followed; ``""`` where it is."""
    if len(sizes) < FEWEST:
        return f"three unknowns want {FEWEST} sizes at least, and there are {len(sizes)}"
    if not certain or not law.gain:
        return "within chance the score is the same for the smallest size and the largest"
    if law.exponent in (EXPONENTS[0], EXPONENTS[-1]):
        shape = "too straight" if law.exponent == EXPONENTS[0] else "too sudden"
        return f"the curve is {shape} for an inverse power law to be made out"
    if sizes[-1] + more > FARTHEST * sizes[-1]:
        return f"it lies more than {FARTHEST:g} times as far as what was measured"
    return ""
