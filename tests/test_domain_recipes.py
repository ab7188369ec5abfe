"""Each recipe for a domain, whole, on a tiny network; its pixels and passes cut down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import finetune
from finetune.console import Silent

SMALL = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "evaluate.bootstrap=100"]
SHORT = ["phases.tune.epochs=1", "keep=last"]


def trained(data: Path, out: Path, recipe: str, *overrides: str) -> finetune.Run:
    given = [*SMALL, *overrides]
    return finetune.train(data, recipe, overrides=given, weights="none", out=out, reporter=Silent())


@pytest.mark.parametrize(
    "recipe",
    [
        "documents",
        "fine_grained",
        "grayscale_medical",
        "imbalanced",
        "satellite",
        "textures",
        "tiny_images",
    ],
)
def test_a_recipe_that_tunes_trains(
    photos: Callable[..., Path], tmp_path: Path, recipe: str
) -> None:
    run = trained(photos({"red": 12, "blue": 12}), tmp_path / "run", recipe, *SHORT)
    assert [phase["name"] for phase in run.phases["phases"]] == ["probe", "tune"]
    assert run.phases["kept"] == "tune"


def test_few_shots_are_solved_on_directions(photos: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(photos({"red": 9, "blue": 9}), tmp_path / "run", "few_shot")
    assert run.phases["kept"] == "probe"
    (phase,) = finetune.load_recipe(run.directory.recipe).phases
    assert phase.model_dump()["solver"] == "cosine"
