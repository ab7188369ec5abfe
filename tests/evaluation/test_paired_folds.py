from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from finetune.evaluation.comparison import compare_pair
from finetune.evaluation.intervals import corrected_resampled_p, corrected_resampled_t
from finetune.evaluation.paired_folds import Folds, compare_folds

OPTIONS = {"confidence": 0.95, "resamples": 100, "seed": 1}


def answers(n: int, repeats: int, seed: int, skill: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities ``[R, N, 3]`` of a classifier with some skill, and labels."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    noise = generator.dirichlet(np.ones(3), (repeats, n))
    return (1 - skill) * noise + skill * np.eye(3)[labels], labels


def cut(n: int, repeats: int, folds: int = 5) -> Folds:
    generator = np.random.default_rng(0)
    rows = [generator.permutation(np.arange(n) % folds) for _ in range(repeats)]
    return Folds(np.array(rows), 1 / (folds - 1))


@settings(max_examples=15, deadline=None)
@given(st.integers(15, 60), st.integers(1, 3), st.integers(0, 1000))
def test_the_other_way_round_it_is_the_opposite(n: int, repeats: int, seed: int) -> None:
    one, labels = answers(n, repeats, seed, 0.3)
    other, _ = answers(n, repeats, seed + 1, 0.1)
    folds = cut(n, repeats)
    there = compare_folds(one, other, labels, folds, None, **OPTIONS)
    back = compare_folds(other, one, labels, folds, None, **OPTIONS)
    for name in ("accuracy", "log_loss", "macro_f1"):
        score, opposite = getattr(there, name), getattr(back, name)
        assert score.value == pytest.approx(-opposite.value, abs=1e-12)
        assert (score.low, score.high) == pytest.approx((-opposite.high, -opposite.low))
        assert score.low <= score.value <= score.high
    assert (there.only_first, there.only_second) == (back.only_second, back.only_first)
    assert there.p_value == pytest.approx(back.p_value)


@settings(max_examples=15, deadline=None)
@given(st.integers(15, 60), st.integers(1, 3), st.integers(0, 1000))
def test_it_is_no_narrower_than_the_images_and_the_trainings(
    n: int, repeats: int, seed: int
) -> None:
    one, labels = answers(n, repeats, seed, 0.3)
    other, _ = answers(n, repeats, seed + 1, 0.2)
    folds = cut(n, repeats)
    found = compare_folds(one, other, labels, folds, None, **OPTIONS).accuracy
    each = (folds.scores(one, labels) - folds.scores(other, labels))[0]
    spread = corrected_resampled_t(each.tolist(), folds.judged_per_learnt, 0.95)
    images = [compare_pair(a, b, labels, None, **OPTIONS).accuracy
              for a, b in zip(one, other, strict=True)]  # fmt: skip
    width = np.mean([score.high - score.low for score in images])
    assert found.value == pytest.approx(each.mean())
    assert found.high - found.low >= max(width, spread.high - spread.low) - 1e-12


def test_the_same_answers_do_not_differ() -> None:
    one, labels = answers(30, 2, 0, 0.3)
    found = compare_folds(one, one, labels, cut(30, 2), None, **OPTIONS)
    assert found.accuracy.value == 0
    assert found.accuracy.low < 0 < found.accuracy.high
    assert (found.only_first, found.only_second, found.p_value) == (0, 0, 1.0)


def test_an_image_counts_once_for_who_has_it_right_more_often() -> None:
    labels = np.array([0, 0, 1, 1])
    right, wrong = np.eye(2)[labels], np.eye(2)[1 - labels]
    one = np.array([right, right])
    other = np.array([right, wrong])
    folds = Folds(np.array([[0, 1, 0, 1], [0, 1, 0, 1]]), 1.0)
    found = compare_folds(one, other, labels, folds, None, **OPTIONS)
    assert (found.only_first, found.only_second) == (4, 0)
    assert found.accuracy.value == pytest.approx(0.5)
    assert found.p_value >= 2 / 16  # McNemar's of four images, not of eight answers
    assert [count.only_first for count in found.per_class] == [2, 2]


def test_with_independent_trainings_the_p_value_is_that_of_a_t_test() -> None:
    values = [0.03, -0.01, 0.05, 0.02, 0.04]
    assert corrected_resampled_p(values, 0.0) == pytest.approx(ttest_1samp(values, 0).pvalue)
    assert corrected_resampled_p(values, 0.25) > corrected_resampled_p(values, 0.0)
    assert corrected_resampled_p([0.0, 0.0], 0.25) == 1.0
    assert corrected_resampled_p([0.1, 0.1], 0.25) == 0.0
    low = corrected_resampled_t(values, 0.25, 1 - corrected_resampled_p(values, 0.25)).low
    assert math.isclose(low or 0, 0, abs_tol=1e-9)
