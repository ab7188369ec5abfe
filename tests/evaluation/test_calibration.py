import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from finetune.evaluation.calibration import COLDEST, HOTTEST, fit_temperature, log_losses, softmax


def _calibrated(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose probabilities are the true ones, and labels drawn by them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, 4)) * 2
    cumulated = softmax(logits, 1.0).cumsum(1)
    return logits, (generator.random((n, 1)) > cumulated[:, :3]).sum(1)


def test_softmax_and_log_losses_are_scipys() -> None:
    logits, labels = _calibrated(30)
    expected = log_softmax(logits / 1.7, axis=1)
    assert softmax(logits, 1.7) == pytest.approx(np.exp(expected))
    own = -expected[np.arange(30), labels]
    assert log_losses(logits.astype(np.float32), labels, 1.7) == pytest.approx(own, rel=1e-5)


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[1e4, 0.0], [-1e4, 1e4]], dtype=np.float32)
    assert softmax(logits, 0.05).sum(1) == pytest.approx([1, 1])
    assert log_losses(logits, np.array([1, 1]), 1.0) == pytest.approx([1e4, 0])


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_it_finds_the_factor_that_was_put_in(factor: float) -> None:
    logits, labels = _calibrated(20_000)
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.03)


def test_it_is_the_best_of_all_temperatures() -> None:
    logits, labels = _calibrated(5000)
    best = fit_temperature(logits * 2, labels)
    loss = log_losses(logits * 2, labels, best).mean()
    for other in np.geomspace(COLDEST, HOTTEST, 200):
        assert loss <= log_losses(logits * 2, labels, other).mean() + 1e-5


def test_twenty_right_images_give_no_absurd_confidence() -> None:
    logits = np.zeros((20, 3))
    logits[:, 1] = 3.0
    labels = np.ones(20, dtype=np.int64)
    temperature = fit_temperature(logits, labels)
    assert 0.4 < temperature < 1.0
    assert 0.9 < softmax(logits, temperature)[0, 1] < 0.995


def test_all_wrong_and_sure_of_it_stays_in_bounds() -> None:
    logits = np.tile([[50.0, 0.0]], (500, 1))
    assert 10 < fit_temperature(logits, np.ones(500, dtype=np.int64)) <= HOTTEST


def test_no_images_leave_the_logits_alone() -> None:
    assert fit_temperature(np.empty((0, 3)), np.empty(0, dtype=np.int64)) == 1.0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.floats(1e-6, 1e4), st.integers(0, 1000))
def test_it_never_loses_to_leaving_the_logits_alone(n: int, scale: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits, labels = generator.normal(size=(n, 3)) * scale, generator.integers(0, 3, n)
    temperature = fit_temperature(logits, labels)
    assert COLDEST <= temperature <= HOTTEST
    before = log_losses(logits, labels, 1.0).sum()
    assert log_losses(logits, labels, temperature).sum() <= before * (1 + 1e-9) + 1e-9
