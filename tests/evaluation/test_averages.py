import numpy as np
import pytest

from finetune.evaluation.averages import (
    from_spread,
    mean_of,
    wider,
    worth_of_areas,
    worth_of_means,
)
from finetune.evaluation.intervals import UNDEFINED, Score, effective_wilson, wilson


def test_the_spread_of_a_share_gives_wilsons_interval() -> None:
    draws = np.random.default_rng(0).binomial(80, 0.7, 200_000) / 80
    found = from_spread(0.7, draws, 10_000, 0.95)
    assert found.low == pytest.approx(wilson(56, 80, 0.95).low, abs=1e-3)
    assert found.high == pytest.approx(wilson(56, 80, 0.95).high, abs=1e-3)


def test_no_spread_is_no_certainty() -> None:
    assert from_spread(1.0, np.ones(100), 40, 0.95) == wilson(40, 40, 0.95)
    assert from_spread(np.nan, np.full(5, np.nan), 40, 0.95) == UNDEFINED


def test_resamplings_of_few_images_spread_too_little() -> None:
    draws = np.random.default_rng(0).normal(0.7, 0.05, 1000)
    plain, made_up = (from_spread(0.7, draws, 1000, 0.95, short) for short in (1.0, 1.5))
    assert made_up.low < plain.low < plain.high < made_up.high


def test_a_mean_of_parts_is_recovered_from_their_ends() -> None:
    found = mean_of([Score(0.8, 0.5, 0.9), Score(1.0, 0.6, 1.0)])
    assert found.value == pytest.approx(0.9)
    assert found.low == pytest.approx(0.9 - 0.5 / 2)
    assert found.high == pytest.approx(0.9 + 0.1 / 2)
    twice = mean_of([Score(0.8, 0.5, 0.9), Score(1.0, 0.6, 1.0)], counted_twice=4)
    assert twice.low == pytest.approx(0.9 - 0.5)


def test_wider_takes_the_farther_ends_and_the_first_value() -> None:
    assert wider(Score(0.5, 0.4, 0.8), Score(0.6, 0.3, 0.7)) == Score(0.5, 0.3, 0.8)
    assert wider(Score(0.5, 0.4, 0.8), UNDEFINED) == Score(0.5, 0.4, 0.8)


def test_the_smallest_class_decides_what_a_mean_is_worth() -> None:
    assert worth_of_means(np.array([20.0, 20.0])) == pytest.approx(40)
    assert worth_of_means(np.array([10.0, 990.0])) == pytest.approx(39.6, abs=0.01)
    assert worth_of_areas(np.array([10.0]), np.array([990.0])) == pytest.approx(39.6, abs=0.01)


def test_a_share_of_an_effective_number_is_wilsons() -> None:
    assert effective_wilson(0.9, 100, 0.95) == wilson(90, 100, 0.95)
