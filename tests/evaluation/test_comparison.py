import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import f1_score, log_loss

from finetune.evaluation.comparison import compare_pair, holm, mcnemar, paired_shares


def _answers(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(3), generator.integers(0, 3, n - 3)])
    shares = [generator.dirichlet(np.ones(3), n) for _ in range(2)]
    shares[0] = (shares[0] + np.eye(3)[labels]) / 2
    return shares[0], shares[1], labels


def _compare(first, second, labels, units=None):
    return compare_pair(
        first, second, labels, units, confidence=0.95, resamples=200, seed=1
    )  # fmt: skip


def test_differences_are_those_of_scikit_learns_scores() -> None:
    first, second, labels = _answers(60, 0)
    found = _compare(first, second, labels)
    said = first.argmax(1), second.argmax(1)
    accuracies = [(each == labels).mean() for each in said]
    assert found.accuracy.value == pytest.approx(accuracies[0] - accuracies[1])
    losses = log_loss(labels, first) - log_loss(labels, second)
    assert found.log_loss.value == pytest.approx(losses)
    f1 = [f1_score(labels, each, average="macro") for each in said]
    assert found.macro_f1.value == pytest.approx(f1[0] - f1[1])
    assert sum(c.only_first for c in found.per_class) == found.only_first
    assert sum(c.images for c in found.per_class) == 60


@settings(max_examples=20, deadline=None)
@given(n=st.integers(4, 40), seed=st.integers(0, 1000), grouped=st.booleans())
def test_the_other_way_round_everything_changes_its_sign(n: int, seed: int, grouped: bool) -> None:
    first, second, labels = _answers(n, seed)
    units = np.arange(n) // 2 if grouped else None
    there, back = _compare(first, second, labels, units), _compare(second, first, labels, units)
    for name in ("accuracy", "log_loss", "macro_f1"):
        one, other = getattr(there, name), getattr(back, name)
        assert one.value == pytest.approx(-other.value, abs=1e-12)
        assert one.low == pytest.approx(-other.high, abs=1e-9)
        assert one.high == pytest.approx(-other.low, abs=1e-9)
        assert one.low <= one.value <= one.high
    assert (there.only_first, there.only_second) == (back.only_second, back.only_first)
    assert there.p_value == pytest.approx(back.p_value)


def test_mcnemars_test_by_hand() -> None:
    # 8 of 10 images on which one alone is right are the first's.
    assert mcnemar(8, 2) == pytest.approx(2 * binom.cdf(2, 10, 0.5))
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])


def test_two_that_never_differ_still_have_an_interval() -> None:
    first, _, labels = _answers(50, 3)
    found = _compare(first, first, labels)
    assert found.accuracy.value == 0.0
    assert found.accuracy.high == pytest.approx(1.959964 * math.sqrt(1) / 52, rel=1e-4)
    assert found.accuracy.low == pytest.approx(-found.accuracy.high)


def test_agresti_and_mins_interval_by_hand() -> None:
    score = paired_shares(12, 4, 98, 0.95)
    error = math.sqrt(12.5 + 4.5 - 8**2 / 100) / 100
    assert score.value == pytest.approx(8 / 98)
    assert score.low == pytest.approx(0.08 - 1.959964 * error, abs=1e-6)


def test_groups_of_like_images_widen_the_interval() -> None:
    first, second, labels = (np.repeat(each, 8, axis=0) for each in _answers(40, 5))
    alone = _compare(first, second, labels)
    grouped = _compare(first, second, labels, np.repeat(np.arange(40), 8))
    assert grouped.log_loss.high - grouped.log_loss.low > 2 * (
        alone.log_loss.high - alone.log_loss.low
    )


def test_a_probability_that_was_rounded_to_nought_is_not_nought() -> None:
    first = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = _compare(first, np.full((2, 2), 0.5), np.array([1, 1]))
    assert found.log_loss.value == pytest.approx(-np.log(5e-7) / 2 - np.log(2), abs=1e-6)
