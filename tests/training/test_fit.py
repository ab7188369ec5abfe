from __future__ import annotations

import pytest
import torch

from finetune.errors import DeviceError, RecipeError
from finetune.recipe.schema import GradientPhase, Recipe
from finetune.training.binding import check_processes, check_validation, pick_precision
from finetune.training.length import total_steps
from finetune.training.seeding import seed_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("images", "options", "steps"),
    [
        (100, {"epochs": 3, "batch_size": 32}, 12),
        (100, {"epochs": 3, "batch_size": 32, "accumulate": 3}, 6),
        (5, {"epochs": 2, "batch_size": 32}, 2),
        (100, {"steps": 7}, 7),
    ],
)
def test_steps_of_a_phase(images: int, options: dict[str, int], steps: int) -> None:
    phase = GradientPhase.model_validate({"name": "p", "train": "all", **options})
    assert total_steps(phase, images) == steps


def test_precision_is_what_the_processor_can_do() -> None:
    assert pick_precision("auto", CPU, native=True) == "bfloat16"
    assert pick_precision("auto", CPU, native=False) == "float32"
    assert pick_precision("float32", CPU, native=True) == "float32"
    with pytest.raises(DeviceError, match="no native bfloat16"):
        pick_precision("bfloat16", CPU, native=False)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_processes()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DeviceError, match="one device"):
        check_processes()


@pytest.mark.parametrize("option", [{"early_stopping": {}}, {"interpolate": True}])
def test_nothing_can_be_watched_without_validation(option: dict[str, object]) -> None:
    phase = {"name": "p", "train": "all", "epochs": 1} | option
    recipe = Recipe.model_validate({"name": "r", "phases": [phase]})
    check_validation(recipe, 1)
    with pytest.raises(RecipeError, match=rf"{next(iter(option))}: there is no validation part"):
        check_validation(recipe, 0)


def test_seeds_differ_wherever_the_place_differs() -> None:
    places = [
        (1, "step", 0, 0, 0),
        (1, "step", 0, 0, 1),
        (1, "step", 0, 1, 0),
        (2, "step", 0, 0, 0),
    ]
    assert len({seed_of(*place) for place in places}) == 4
    assert seed_of(1, 23) != seed_of(12, 3)
    assert 0 <= seed_of(1) < 2**63
