"""How a race divides its images, and who goes on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.errors import RecipeError
from finetune.recipe.schema import GradientPhase
from finetune.training.halving import Rung, rungs_of, survivors
from finetune.training.length import images_passed, images_seen, steps_within

LOSSES = st.dictionaries(
    st.floats(1e-6, 1.0), st.one_of(st.floats(0, 10), st.just(math.inf)), min_size=2, max_size=8
)


def phase(rates: int = 3, **options: object) -> GradientPhase:
    race = [10.0**-power for power in range(rates, 0, -1)]
    told = {"name": "p", "train": "all", "optimizer": {"lr": {"race": race}}, **options}
    return GradientPhase.model_validate(told)


phases = st.builds(
    lambda rates, batch, accumulate, epochs: phase(
        rates, batch_size=batch, accumulate=accumulate, epochs=epochs
    ),
    *(st.integers(2, 8), st.integers(1, 40), st.integers(1, 4), st.integers(1, 30)),
)


@given(phases, st.integers(1, 500))
def test_a_race_passes_no_more_images_than_its_phase(raced: GradientPhase, images: int) -> None:
    try:
        rungs = rungs_of(raced, images)
    except RecipeError:
        return
    assert sum(rung.rates * rung.images for rung in rungs) <= images_seen(raced, images)
    assert rungs[0].rates == len(raced.optimizer.raced)
    assert rungs[-1].rates == 2
    lengths = [rung.steps for rung in rungs]
    assert lengths == sorted(lengths)
    assert lengths[0] >= 1


@given(phases, st.integers(1, 500), st.integers(0, 2000))
def test_steps_fill_a_budget_and_no_more(raced: GradientPhase, images: int, most: int) -> None:
    steps = steps_within(raced, images, most)
    assert images_passed(raced, images, steps) <= most < images_passed(raced, images, steps + 1)


@given(LOSSES)
def test_no_dropped_rate_was_better_than_one_that_goes_on(losses: dict[float, float]) -> None:
    left = survivors(losses)
    assert len(left) == math.ceil(len(losses) / 2)
    dropped = [losses[rate] for rate in losses if rate not in left]
    assert max(losses[rate] for rate in left) <= min(dropped)


def test_of_equal_rates_the_lower_goes_on() -> None:
    assert survivors({0.1: 1.0, 0.01: 1.0}) == [0.01]
    assert survivors({0.1: math.inf, 0.01: math.inf, 0.001: 2.0}) == [0.001, 0.01]


def test_the_rungs_of_three_rates() -> None:
    raced = phase(3, epochs=10, batch_size=32)
    assert rungs_of(raced, 96) == (Rung(3, 5, 160), Rung(2, 7, 224))
    assert rungs_of(phase(8, epochs=30), 960)[2].rates == 2


def test_a_phase_that_is_too_short_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"race: 8 rates can't race in a phase in which 100 "):
        rungs_of(phase(8, epochs=1), 100)


def test_one_rate_has_no_rungs() -> None:
    single = GradientPhase.model_validate({"name": "p", "train": "all", "epochs": 1})
    assert rungs_of(single, 100) == ()
