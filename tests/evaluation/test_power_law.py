import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.power_law import EXPONENTS, fit_power_laws, forecast

SIZES = np.array([5.0, 10, 20, 40, 80])


@settings(max_examples=30, deadline=None)
@given(
    limit=st.floats(0.6, 1.0),
    gain=st.floats(0.1, 1.0),
    exponent=st.sampled_from(list(EXPONENTS)),
)
def test_a_law_is_found_again(limit: float, gain: float, exponent: float) -> None:
    values = limit - gain * SIZES**-exponent
    (law,) = fit_power_laws(SIZES, values[:, None], sign=1.0, best=1.0)
    for n in (5, 80, 300):
        assert law.at(n) == pytest.approx(limit - gain * n**-exponent, abs=1e-6)


def test_a_falling_score_has_the_same_law_upside_down() -> None:
    values = 0.2 + 2 * SIZES**-0.8
    (law,) = fit_power_laws(SIZES, values[:, None], sign=-1.0, best=0.0)
    assert (law.limit, law.gain) == (pytest.approx(0.2), pytest.approx(2.0))


def test_nothing_grows_past_the_best_score() -> None:
    values = 0.5 + 0.1 * np.log2(SIZES / 5)  # straight in the logarithm, up to 0.9
    (law,) = fit_power_laws(SIZES, values[:, None], sign=1.0, best=1.0)
    assert law.at(1e9) <= 1.0


def _forecast(values: np.ndarray, noise: float, sizes: np.ndarray = SIZES, more: int = 100):
    generator = np.random.default_rng(0)
    drawn = values[:, None] + noise * generator.normal(size=(len(values), 200))
    return forecast(sizes, values, drawn, more, sign=1.0, best=1.0, confidence=0.95)


def test_what_more_images_buy_has_an_interval_that_holds_it() -> None:
    found = _forecast(0.95 - 0.9 * SIZES**-0.6, 0.005)
    expected = 0.9 * (80**-0.6 - 180**-0.6)
    assert found.doubt == ""
    assert found.low <= expected <= found.high
    assert found.change == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "noise", "sizes", "more", "why"),
    [
        (0.9 - 0.5 * SIZES[:3] ** -0.5, 0.001, SIZES[:3], 10, "sizes at least"),
        (np.full(5, 0.8), 0.02, SIZES, 100, "within chance"),
        (0.95 - 0.9 * SIZES**-0.6, 0.005, SIZES, 1000, "times as far"),
        (0.5 + 0.01 * np.log2(SIZES), 0.001, SIZES, 100, "too straight"),
        (np.array([0.3, 0.9, 0.9, 0.9, 0.9]), 0.001, SIZES, 100, "too sudden"),
    ],
)
def test_what_cannot_be_told_is_said(values, noise, sizes, more, why) -> None:
    assert why in _forecast(values, noise, sizes, more).doubt
