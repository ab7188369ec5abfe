"""What is told about the time before a training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from finetune.data.input_spec import InputSpec
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import GradientPhase
from finetune.training.estimate import Estimate
from finetune.training.length import images_seen
from finetune.training.preview import LONG, _show_time


def told(seconds: float, recipe: str = "lp_ft", quicker: float = 20.0) -> str:
    lines: list[str] = []
    setting: Any = SimpleNamespace(
        recipe=load_recipe(recipe),
        spec=InputSpec(),
        device="cpu",
        reporter=SimpleNamespace(say=lines.append),
    )
    phases = [seconds] + [0.0] * (len(setting.recipe.phases) - 1)
    _show_time(setting, Estimate(tuple(phases), 0.0, 0.0, 0.0, 0.0, quicker))
    return "\n".join(lines)


def test_a_long_training_names_the_quicker_recipe_and_size() -> None:
    assert "Quicker" not in told(LONG)
    long = told(LONG + 1)
    assert "--recipe linear_probe takes about 20 s" in long
    assert "--set input.size=160 takes about 51%" in long


def test_no_recipe_is_named_that_would_not_help() -> None:
    assert "linear_probe" not in told(LONG + 1, quicker=LONG)
    assert "linear_probe" not in told(LONG + 1, recipe="from_scratch")


@pytest.mark.parametrize(
    ("options", "images", "seen"),
    [
        ({"epochs": 3}, 100, 300),
        ({"steps": 100}, 33, 100 * 33),  # the one left over joins the batch of 32
        ({"steps": 100}, 34, 50 * 34),
        ({"steps": 4, "accumulate": 2}, 128, 256),
    ],
)
def test_images_that_pass_in_a_phase(options: dict[str, int], images: int, seen: int) -> None:
    phase = GradientPhase.model_validate({"name": "p", "train": "all", **options})
    assert images_seen(phase, images) == seen
