import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.calibration import softmax
from finetune.evaluation.intervals import wilson
from finetune.evaluation.losses import mean_loss
from finetune.evaluation.weighted import possible_briers, possible_losses


def _sample(n: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n)
    features = generator.normal(size=(n, 3))
    features[np.arange(n), labels] += shift
    return softmax(features * shift, 1.0), labels


def test_a_loss_of_zero_and_one_has_wilsons_interval() -> None:
    probabilities, labels = _sample(60, 1.5, 0)
    wrong = probabilities.argmax(1) != labels
    possible = np.ones((60, 3))
    possible[np.arange(60), probabilities.argmax(1)] = 0
    found = mean_loss(possible, probabilities, labels, None, 0.95)
    expected = wilson(int(wrong.sum()), 60, 0.95)
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_where_all_are_right_the_upper_end_knows_of_errors() -> None:
    probabilities = np.tile([[0.98, 0.01, 0.01]], (50, 1))
    labels = np.zeros(50, dtype=np.int64)
    found = mean_loss(possible_losses(probabilities), probabilities, labels, None, 0.95)
    assert found.value == pytest.approx(-np.log(0.98))
    most = 50 / 50 - wilson(50, 50, 0.95).low
    assert found.high == pytest.approx(found.value + most * (np.log(98)), rel=1e-6)


def test_groups_widen_it() -> None:
    probabilities, labels = _sample(60, 1.5, 1)
    possible = possible_losses(probabilities)
    order = np.argsort(probabilities.argmax(1) != labels)
    alike = np.empty(60, dtype=np.int64)
    alike[order] = np.arange(60) // 6
    plain = mean_loss(possible, probabilities, labels, None, 0.95)
    grouped = mean_loss(possible, probabilities, labels, alike, 0.95)
    assert grouped.high - grouped.low > 1.5 * (plain.high - plain.low)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 50), st.floats(0, 6), st.integers(0, 1000), st.floats(0.5, 0.99))
def test_the_interval_holds_the_mean(n: int, shift: float, seed: int, confidence: float) -> None:
    probabilities, labels = _sample(n, shift, seed)
    for possible in (possible_losses(probabilities), possible_briers(probabilities)):
        found = mean_loss(possible, probabilities, labels, None, confidence)
        assert 0 <= found.low <= found.value <= found.high <= possible.max() + 1e-12
