"""Each solver of a solver phase, from its name to the classifier that is shipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from safetensors.numpy import load_file

import finetune
from finetune.api.planning import plan_recipe, setting_of
from finetune.console import Silent
from finetune.data.manifest import Manifest, read_manifest
from finetune.recipe.schema import Recipe, SolverPhase
from finetune.training.setting import Setting
from finetune.training.solvers import SOLVERS, Examples

Photos = Callable[..., Path]

BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]
TWO = {"red": 15, "green": 15}


def _recipe(*phases: dict[str, Any], **more: Any) -> Recipe:
    return Recipe.model_validate({"name": "own", "phases": list(phases), **more})


def _train(data: Path, out: Path, recipe: Recipe) -> finetune.Run:
    return finetune.train(data, recipe, overrides=BASE, weights="none", out=out, reporter=Silent())


def _seen(data: Path, run: finetune.Run) -> tuple[Setting, Manifest]:
    planned = plan_recipe(data, run.directory.recipe, [], "none", Silent())
    return setting_of(planned, None, Silent()), read_manifest(run.directory.data, data)


def _head(run: finetune.Run) -> tuple[np.ndarray, np.ndarray]:
    tensors = load_file(run.path / "model" / "model.safetensors")
    return tensors["fc.weight"], tensors["fc.bias"]


def test_the_table_has_what_the_schema_names() -> None:
    assert tuple(SOLVERS) == get_args(SolverPhase.model_fields["solver"].annotation)


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("name", SOLVERS)
def test_what_is_shipped_was_solved_on_training_and_validation_images(
    name: str, views: int, photos: Photos, tmp_path: Path
) -> None:
    data = photos(TWO, noise=60)
    phase = {"name": "probe", "solver": name, "views": views}
    run = _train(data, tmp_path / "run", _recipe(phase, augment={"policy": "light"}))
    assert run.phases["refitted"]
    assert run.phases["calibrated_on"] == "training images, out-of-fold"
    record = run.phases["phases"][0]
    assert record["solver"] == name
    assert f"{SOLVERS[name].chooses} " in record["ended"]
    assert run.metrics["accuracy"]["value"] > 0.5
    if views > 1:
        return
    setting, manifest = _seen(data, run)
    (solved,) = setting.recipe.phases
    items = [*manifest.part("train"), *manifest.part("val")]
    given = Examples(setting.pristine_features(items)[None], manifest.labels(items), 2)
    weight, bias = SOLVERS[name].refit(given, solved, record[SOLVERS[name].chooses])
    assert _head(run)[0] == pytest.approx(weight, abs=1e-4 * float(np.abs(weight).max()))
    assert _head(run)[1] == pytest.approx(bias, abs=1e-4 * float(np.abs(bias).max()) + 1e-5)


@pytest.mark.parametrize("name", ["prototype", "cosine"])
def test_a_cross_validation_takes_it(name: str, photos: Photos, tmp_path: Path) -> None:
    done = finetune.cv(
        photos(TWO, noise=60),
        _recipe({"name": "probe", "solver": name}),
        overrides=BASE,
        weights="none",
        out=tmp_path / "cv",
        folds=3,
        repeats=1,
        reporter=Silent(),
    )
    assert done.scores["n"] == 30


def test_a_phase_by_gradient_begins_at_the_prototypes(photos: Photos, tmp_path: Path) -> None:
    still = {"optimizer": {"name": "sgd", "lr": 1e-30, "momentum": 0.0, "weight_decay": 0.0}}
    tune = {"name": "tune", "train": "head", "steps": 1, "clip_norm": None, **still}
    probe = {"name": "probe", "solver": "prototype"}
    data = photos(TWO, noise=60)
    run = _train(data, tmp_path / "run", _recipe(probe, tune, keep="last", refit="never"))
    assert run.phases["kept"] == "tune"
    setting, manifest = _seen(data, run)
    items = manifest.part("train")
    given = Examples(setting.pristine_features(items)[None], manifest.labels(items), 2)
    head = SOLVERS["prototype"].solve(given, setting.recipe.phases[0], setting.recipe.seed)
    assert head.chosen == run.phases["phases"][0]["scale"]
    assert _head(run)[0] == pytest.approx(head.weight, abs=1e-4 * float(np.abs(head.weight).max()))
