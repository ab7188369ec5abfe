import numpy as np
import pytest

from finetune.evaluation.intervals import wilson
from finetune.evaluation.reliability import error_by_chance, reliability
from finetune.evaluation.values import calibration_error


def _calibrated(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    second = generator.random(n)
    return np.column_stack([1 - second, second]), (generator.random(n) < second).astype(np.int64)


def test_bins_hold_every_image_once_and_make_the_calibration_error() -> None:
    probabilities, labels = _calibrated(500, 0)
    bins = reliability(probabilities, labels, 0.95)
    assert len(bins) == 15
    assert sum(each.n for each in bins) == 500
    assert [each.n for each in bins[:7]] == [0] * 7  # of two classes one has half or more
    error = sum(each.n * abs(each.confidence - each.accuracy.value) for each in bins if each.n)
    assert error / 500 == pytest.approx(calibration_error(probabilities, labels))


def test_a_bin_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.92, 0.08], [0.4, 0.6]])
    bins = reliability(probabilities, np.array([0, 1, 1]), 0.95)
    (high,) = (each for each in bins if each.n == 2)
    assert (round(high.low, 3), round(high.high, 3)) == (0.867, 0.933)
    assert high.confidence == pytest.approx(0.91)
    assert high.accuracy == wilson(1, 2, 0.95)
    assert bins[0].confidence is None
    assert bins[0].accuracy.value is None


def test_no_images_no_accuracy() -> None:
    bins = reliability(np.empty((0, 3)), np.empty(0, dtype=np.int64), 0.95)
    assert all(each.n == 0 and each.accuracy.value is None for each in bins)


def test_groups_widen_the_bins_intervals() -> None:
    probabilities, labels = _calibrated(400, 1)
    plain = reliability(probabilities, labels, 0.95)[-1].accuracy
    grouped = reliability(probabilities, labels, 0.95, np.arange(400) // 20)[-1].accuracy
    assert grouped.value == plain.value
    assert grouped.low < plain.low


def test_chance_alone_is_what_right_probabilities_show() -> None:
    errors = [calibration_error(*_calibrated(200, seed)) for seed in range(300)]
    chance = [error_by_chance(_calibrated(200, seed)[0]) for seed in range(300)]
    assert np.mean(chance) == pytest.approx(np.mean(errors), rel=0.05)
