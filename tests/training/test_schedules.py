from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.recipe.schema import ScheduleOptions
from finetune.training.schedules import schedule


def values(total: int, **options: object) -> list[float]:
    factor = schedule(ScheduleOptions.model_validate(options), total)
    return [round(factor(step), 4) for step in range(total)]


def test_cosine_at_exact_steps() -> None:
    assert values(4, name="cosine") == [1.0, 0.8536, 0.5, 0.1464]


def test_warmup_rises_to_the_peak_with_its_last_step() -> None:
    assert values(10, name="constant", warmup=0.4) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]


def test_linear_ends_towards_final() -> None:
    assert values(4, name="linear", final=0.2) == [1.0, 0.8, 0.6, 0.4]


def test_step_falls_at_its_milestones() -> None:
    assert values(10, name="step", milestones=[0.3, 0.6], gamma=0.1) == [
        *[1.0] * 3,
        *[0.1] * 3,
        *[0.01] * 4,
    ]


def test_the_resnet_schedule_falls_every_thirty_epochs_of_ninety() -> None:
    factor = schedule(
        ScheduleOptions.model_validate({"name": "step", "milestones": [0.3334, 0.6667]}), 90 * 7
    )
    falls = [step for step in range(1, 630) if factor(step) < factor(step - 1)]
    assert [fall // 7 for fall in falls] == [30, 60]


def test_one_cycle_rises_then_falls() -> None:
    cycle = values(100, name="one_cycle")
    assert cycle[0] == 0.04
    assert cycle.index(max(cycle)) == 25
    assert cycle[-1] < 0.01


@given(
    name=st.sampled_from(["constant", "cosine", "one_cycle", "linear"]),
    total=st.integers(1, 500),
    warmup=st.floats(0, 0.9),
    final=st.floats(0, 1),
)
def test_a_factor_stays_between_zero_and_one(
    name: str, total: int, warmup: float, final: float
) -> None:
    options = ScheduleOptions.model_validate(
        {"name": name, "warmup": warmup} | ({} if name == "constant" else {"final": final})
    )
    factor = schedule(options, total)
    assert all(0.0 <= factor(step) <= 1.0 for step in range(total + 3))


def test_milestones_go_with_step_alone() -> None:
    with pytest.raises(ValueError, match="milestones"):
        ScheduleOptions.model_validate({"name": "cosine", "milestones": [0.5]})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "constant", "final": 0.1}, "final: constant has none"),
        ({"name": "step", "milestones": [0.5], "final": 0.1}, "final: step has none"),
        ({"name": "cosine", "gamma": 0.5}, "gamma: cosine has none"),
    ],
)
def test_what_a_schedule_would_not_use_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ScheduleOptions.model_validate(options)
