"""What the losses of a learning rate range test tell (Smith 2017): pure functions of the curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
"""The rates that are tried, as in fastai's ``lr_find``: 12 in every power of ten."""

_WIDTH = 3.0
"""Standard deviation of the smoothing, in steps: a quarter of a power of ten."""

_AWAY = 4.0
"""Times the lowest loss above which training ran away, as in fastai."""

_BELOW = 10.0
"""How far below the rate of the lowest loss the suggestion stands, as in fastai."""

_CHANCE = 3.0
"""Standard errors from the mean that the extremes of a flat curve reach by chance, of its dozen
places that share few steps with one another."""

_NORMAL = 1.4826
"""A standard deviation, in median distances from the mean."""

_LEAST = 5
"""Losses without which a curve says nothing."""


@dataclass(frozen=True)
class Reading:
    """What a curve tells.

    Attributes:
        lowest: The highest rate at which the loss is as low as it gets, noise apart: where several
            are, all below it do no harm.
        steepest: The rate at which the loss falls fastest on its way there; None where it never
            falls by more than noise.
    """

    lowest: float
    steepest: float | None

    @property
    def suggestion(self) -> float:
        """A tenth of `lowest`, to two digits: what a phase's peak rate may be.

        At the lowest loss itself training is about to run away (Smith 2017 takes less). Of the
        rules in use this one needs no fall: after a solved head there often is none.
        """
        return float(f"{self.lowest / _BELOW:.2g}")


def rising_rates(
    steps: int = STEPS, lowest: float = LOWEST, highest: float = HIGHEST
) -> tuple[float, ...]:
    """``steps`` rates, each the same factor above the one before it."""
    return tuple(float(rate) for rate in np.geomspace(lowest, highest, steps))


def smoothed(losses: Sequence[float]) -> Array:
    """Means of neighbours by a normal curve, ``[N]``.

    Both sides count alike, so that, unlike a running mean, it moves no dip to higher rates.
    """
    places = np.arange(len(losses))
    weights = np.exp(-(((places[:, None] - places) / _WIDTH) ** 2) / 2)
    return np.asarray(weights @ np.asarray(losses, dtype=np.float64) / weights.sum(1))


def ran_away(losses: Sequence[float]) -> bool:
    """Whether the last loss is no number, or far above the lowest one; both smoothed."""
    if not losses or not math.isfinite(losses[-1]):
        return bool(losses)
    curve = smoothed(losses)
    return bool(curve[-1] > _AWAY * curve.min())


def read_curve(rates: Sequence[float], losses: Sequence[float]) -> Reading | None:
    """What the losses at rising rates tell; None where there are too few numbers.

    Args:
        rates: ``[N]``.
        losses: Mean loss of the step at each rate ``[N]``; the last may be no number.
    """
    numbers = [loss for loss in losses if math.isfinite(loss)]
    if len(numbers) < _LEAST:
        return None
    curve = smoothed(numbers)
    noise = _CHANCE * _error(np.asarray(numbers), curve)
    place = int(np.flatnonzero(curve <= curve.min() + noise)[-1])
    fell = curve[: place + 1].max() - curve.min() > 2 * noise
    slopes = np.gradient(curve)[: place + 1]
    falls = fell and bool(slopes.min() < 0)
    return Reading(rates[place], rates[int(slopes.argmin())] if falls else None)


def _error(losses: Array, curve: Array) -> float:
    """Standard error of the smoothed losses; by the median, on which running away has no say."""
    spread = _NORMAL * float(np.median(np.abs(losses - curve)))
    return spread / math.sqrt(2 * math.sqrt(math.pi) * _WIDTH)  # the sum of squared weights
