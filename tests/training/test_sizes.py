"""Phases that learn from pictures of their own size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import finetune
from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.errors import RecipeError
from finetune.evaluation.metrics import epoch_scores
from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.training.phases import run_fit
from finetune.training.setting import Fit, Setting

BASE = ["model.backbone=test_resnet", "input.size=48", "data.workers=0", "precision=float32"]


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(photos: Callable[..., Path]) -> Path:
    return photos({"red": 16, "green": 16})


def recipe_of(*phases: dict[str, object]) -> Recipe:
    usual = {"epochs": 1, "batch_size": 8, "batch_norm": "train"}
    return Recipe.model_validate({"name": "own", "phases": [usual | phase for phase in phases]})


def set_up(data: Path, recipe: Recipe, folder: Path) -> Setting:
    planned = api.plan(data, recipe, overrides=BASE, weights="none", reporter=Silent())
    return setting_of(planned, RunDirectory(folder), Silent())


@pytest.mark.parametrize("train", ["all", "last_1"])
def test_it_is_watched_at_its_own_size_and_judged_at_that_of_the_input(
    data: Path, tmp_path: Path, train: str
) -> None:
    small = {"name": "small", "train": train, "size": 32}
    setting = set_up(data, recipe_of(small), tmp_path / "run")
    train_items, val = setting.manifest.part("train"), setting.manifest.part("val")
    (result,) = run_fit(setting, Fit("main", train_items, val, val))
    model = setting.pristine
    model.load_state_dict(result.store.state())
    full, own = (each.logits(model, val) for each in (setting, setting.at(32)))
    np.testing.assert_allclose(result.judged, full, atol=1e-5)
    assert not np.allclose(full, own, atol=1e-3)
    logged = float(setting.log.rows[-1]["val_log_loss"])
    assert logged == pytest.approx(epoch_scores(own, setting.labels(val))["log_loss"], abs=1e-4)


def test_features_of_two_sizes_are_not_mixed_up(data: Path, tmp_path: Path) -> None:
    setting = set_up(data, recipe_of({"name": "tune", "train": "all"}), tmp_path / "run")
    items = setting.manifest.part("train")
    large, small = setting.pristine_features(items), setting.at(32).pristine_features(items)
    assert not np.allclose(large, small, atol=1e-3)
    assert setting.at(48) is setting
    assert setting.at(None) is setting
    np.testing.assert_array_equal(setting.pristine_features(items), large)


def test_small_pictures_first_then_large_ones(data: Path, tmp_path: Path) -> None:
    recipe = recipe_of(
        {"name": "small", "train": "all", "size": 32}, {"name": "large", "train": "all"}
    )
    run = finetune.train(
        data,
        recipe,
        overrides=[*BASE, "keep=last"],
        weights="none",
        out=tmp_path / "run",
        reporter=Silent(),
    )
    assert run.classifier.spec.size == 48
    assert [row["phase"] for row in run.log.to_dict("records")].count("small") >= 1


def test_a_size_that_the_network_refuses_is_told_before_work_starts(data: Path) -> None:
    vit = ["model.backbone=test_vit", "data.workers=0"]

    def plan(size: int) -> None:
        recipe = recipe_of({"name": "small", "train": "all", "size": size})
        api.plan(data, recipe, overrides=vit, weights="none", reporter=Silent())

    plan(96)
    with pytest.raises(RecipeError, match=r"phases\.small\.size: this network doesn't take"):
        plan(100)  # no multiple of its patches' side
