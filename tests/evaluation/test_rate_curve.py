"""What the curve of a range test tells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.evaluation.rate_curve import ran_away, read_curve, rising_rates, smoothed

LOSSES = st.lists(st.floats(0.01, 10.0), min_size=5, max_size=100)


@given(st.integers(2, 200), st.floats(1e-9, 1e-3), st.floats(1e-2, 100))
def test_rates_rise_by_one_factor(steps: int, lowest: float, highest: float) -> None:
    rates = rising_rates(steps, lowest, highest)
    assert len(rates) == steps
    assert (rates[0], rates[-1]) == pytest.approx((lowest, highest))
    factors = np.diff(np.log(rates))
    assert factors == pytest.approx(np.full(steps - 1, factors[0]))


@given(LOSSES)
def test_smoothing_stays_between_the_losses(losses: list[float]) -> None:
    curve = smoothed(losses)
    assert len(curve) == len(losses)
    assert min(losses) - 1e-9 <= curve.min() <= curve.max() <= max(losses) + 1e-9
    assert smoothed(losses[::-1]) == pytest.approx(curve[::-1])


@given(LOSSES, st.floats(0.1, 10))
def test_a_reading_hangs_on_no_unit_of_the_loss(losses: list[float], factor: float) -> None:
    rates = rising_rates(len(losses))
    reading, scaled = read_curve(rates, losses), read_curve(rates, [factor * x for x in losses])
    assert reading is not None
    assert scaled is not None
    assert reading.lowest in rates
    assert reading.steepest is None or reading.steepest <= reading.lowest
    assert scaled.lowest == pytest.approx(reading.lowest, rel=0.3)  # a tie may fall either way
    assert 0.9 * reading.lowest <= 10 * reading.suggestion <= 1.1 * reading.lowest


def curve(fall: float, bottom: float, noise: float) -> tuple[tuple[float, ...], list[float]]:
    """A loss that falls by ``fall`` around 1e-4 and rises steeply above ``bottom``."""
    rates = rising_rates()
    wave = np.random.default_rng(1).normal(0, noise, len(rates))
    losses = [
        1 - fall / (1 + (1e-4 / rate) ** 2) + (rate / bottom) ** 3 * 0.1 + each
        for rate, each in zip(rates, wave, strict=True)
    ]
    kept = next((n for n in range(1, 101) if ran_away(losses[:n])), 100)
    return rates[:kept], losses[:kept]


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_dip_is_found(noise: float) -> None:
    rates, losses = curve(0.8, 0.03, noise)
    assert len(rates) < 100
    reading = read_curve(rates, losses)
    assert reading is not None
    assert reading.steepest == pytest.approx(1e-4, rel=0.6)
    assert 1e-3 < reading.lowest < 2e-2


def test_where_nothing_falls_the_plateau_ends_before_the_rise() -> None:
    rates, losses = curve(0.0, 0.03, 0.02)
    reading = read_curve(rates, losses)
    assert reading is not None
    assert reading.steepest is None
    assert 1e-3 < reading.lowest < 2e-2


def test_training_that_ran_away_is_known() -> None:
    assert ran_away([1.0, math.inf])
    assert ran_away([1.0, math.nan])
    assert not ran_away([])
    assert not ran_away([1.0] * 20 + [5.0])
    assert ran_away([1.0] * 20 + [5.0 * n for n in range(10)])


def test_too_few_numbers_tell_nothing() -> None:
    assert read_curve(rising_rates(), [1.0, 1.0, math.inf]) is None
