import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.conformal import loss_limit, prediction_sets


def test_the_limit_is_the_order_statistic_of_the_finite_sample() -> None:
    losses = np.arange(1.0, 20)[::-1]  # 19 of them: ceil(20 * 0.9) = 18
    assert loss_limit(losses, 0.9) == 18
    assert loss_limit(losses[:9], 0.9) == 19  # ceil(10 * 0.9) = 9, the largest


def test_too_few_images_promise_nothing() -> None:
    assert loss_limit(np.ones(8), 0.9) is None
    assert loss_limit(np.empty(0), 0.9) is None


def test_sets_hold_what_is_probable_enough() -> None:
    possible = np.array([[0.1, 2.0, 3.0], [0.9, 1.0, 3.0], [2.0, 2.0, 2.0]])
    expected = [[True, False, False], [True, True, False], [False, False, False]]
    assert prediction_sets(possible, 1.0).tolist() == expected


@settings(max_examples=15, deadline=None)
@given(st.integers(20, 200), st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.integers(0, 1000))
def test_the_promise_is_kept_on_average(n: int, coverage: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    limits = [loss_limit(generator.exponential(size=n), coverage) for _ in range(400)]
    held = 1 - np.exp(-np.array([limit for limit in limits if limit is not None]))
    slack = 4 * held.std() / 20
    assert coverage - slack <= held.mean() <= coverage + 1 / (n + 1) + slack


def test_the_limit_of_one_set_of_losses_is_among_them() -> None:
    losses = np.random.default_rng(0).exponential(size=101)
    assert loss_limit(losses, 0.9) in losses
    assert (losses <= loss_limit(losses, 0.9)).mean() == pytest.approx(92 / 101)


@pytest.mark.parametrize("copies", [1, 4])
def test_copies_of_images_promise_nothing_more(copies: int) -> None:
    losses = np.random.default_rng(0).exponential(size=30)
    groups = np.repeat(np.arange(30), copies)
    assert loss_limit(np.repeat(losses, copies), 0.9, groups) == loss_limit(losses, 0.9)
    assert loss_limit(np.repeat(losses[:8], copies), 0.9, groups[: 8 * copies]) is None


def test_the_promise_holds_for_images_of_groups_that_were_not_seen() -> None:
    """Half of the groups have one picture and half have nine, with losses of their own."""
    generator = np.random.default_rng(1)
    sizes = np.tile([1, 9], 20)
    groups = np.repeat(np.arange(40), sizes)
    held = []
    for _ in range(400):
        own = generator.exponential(size=41)
        losses = own[groups] + generator.exponential(size=len(groups)) * 0.1
        limit = loss_limit(losses, 0.9, groups)
        held.append(own[40] + generator.exponential() * 0.1 <= limit)
    assert 0.9 - 0.045 <= np.mean(held) <= 0.9 + 1 / 41 + 0.045
