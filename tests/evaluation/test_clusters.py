import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.clusters import (
    design_effect,
    effective_size,
    group_numbers,
    share,
    standard_error,
)
from finetune.evaluation.intervals import UNDEFINED, wilson


def test_names_become_numbers_and_no_name_is_a_group_of_its_own() -> None:
    numbers = group_numbers(["a", "", "b", "a", ""])
    assert numbers is not None
    assert numbers[0] == numbers[3]
    assert len(np.unique(numbers)) == 4


@pytest.mark.parametrize("names", [None, [], ["", ""], ["a", "b", ""]])
def test_where_nothing_is_shared_there_are_no_groups(names: list[str] | None) -> None:
    assert group_numbers(names) is None


def test_without_groups_it_is_wilsons() -> None:
    hits = np.arange(153) < 146
    assert share(hits, None, 0.95) == wilson(146, 153, 0.95)
    assert share(hits, np.arange(153), 0.95) == wilson(146, 153, 0.95)
    assert share(np.empty(0, dtype=bool), None, 0.95) == UNDEFINED


def test_the_design_effect_by_hand() -> None:
    # Four groups of three: 3, 3, 0 and 2 right. Between: 3 * sum((p - 2/3)^2) / 3 = 0.6667; within:
    # (2/3 * 1/3 * 3) / 8 = 0.0833; rho = 0.5833 / (0.6667 + 2 * 0.0833) = 0.7.
    hits = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0], dtype=bool)
    rho = 0.7 + 0.3 * 0.5 / (0.5 + 2)  # two groups hold a wrong image
    assert design_effect(hits, np.arange(12) // 3) == pytest.approx(1 + 2 * rho)


def test_groups_that_are_all_alike_count_as_one_image_each() -> None:
    groups = np.repeat(np.arange(20), 10)
    alike = np.repeat(np.arange(20) < 15, 10)
    assert design_effect(alike, groups) == pytest.approx(10)
    assert design_effect(np.ones(200, dtype=bool), groups) == pytest.approx(10)
    assert effective_size(alike, groups, 0.95) < 20
    assert share(np.ones(200, dtype=bool), groups, 0.95).low < 0.87


def test_a_few_near_duplicates_change_little() -> None:
    hits = np.arange(150) % 10 > 0
    groups = np.concatenate([[0, 0, 0, 1, 1], np.arange(2, 147)])
    plain, grouped = share(hits, None, 0.95), share(hits, groups, 0.95)
    assert 0 < (plain.low - grouped.low) < 0.005
    assert 0 < (grouped.high - plain.high) < 0.005


def test_one_group_tells_as_much_as_one_image() -> None:
    assert share(np.ones(9, dtype=bool), np.zeros(9, dtype=np.int64), 0.95) == wilson(1, 1, 0.95)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 30), st.floats(0, 1), st.integers(0, 1000))
def test_groups_never_make_an_interval_narrower(n: int, count: int, p: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    hits, groups = generator.random(n) < p, generator.integers(0, count, n)
    plain, grouped = share(hits, None, 0.95), share(hits, groups, 0.95)
    assert grouped.value == plain.value
    assert 0 <= grouped.low <= plain.low + 1e-12
    assert plain.high - 1e-12 <= grouped.high <= 1


def test_beta_binomial_groups_are_covered() -> None:
    generator = np.random.default_rng(3)
    groups, held = np.repeat(np.arange(12), 8), 0
    for _ in range(400):
        chances = generator.beta(0.9 * 2, 0.1 * 2, 12)  # rho = 1 / 3
        score = share(generator.random(96) < chances[groups], groups, 0.95)
        held += score.low <= 0.9 <= score.high
    assert held >= 0.92 * 400


def test_the_standard_error_of_single_images_is_the_usual_one() -> None:
    values = np.random.default_rng(3).normal(size=50)
    usual = values.std(ddof=1) / np.sqrt(50)
    assert standard_error(values, None) == pytest.approx(usual)
    assert standard_error(values, np.arange(50)) == pytest.approx(usual)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 30), st.integers(1, 9), st.integers(0, 1000))
def test_copies_of_images_tell_nothing_more(n: int, copies: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=n)
    found = standard_error(np.repeat(values, copies), np.repeat(np.arange(n), copies))
    assert found == pytest.approx(standard_error(values, None))


@pytest.mark.parametrize("values", [[], [0.3]])
def test_one_group_or_none_tells_nothing_of_the_error(values: list[float]) -> None:
    assert standard_error(np.array(values), None) is None
    assert standard_error(np.array(values * 5), np.zeros(5 * len(values), dtype=np.int64)) is None
