"""Features of a picture and of its mirror image together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import finetune
from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.data.loading import Reading, eval_loader
from finetune.features.body import body_of
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe
from finetune.training import mirroring
from finetune.training.mirroring import mirror_helps
from finetune.training.passage import passage_of
from finetune.training.setting import Fit, Setting
from finetune.training.trainee import Trainee

BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(photos: Callable[..., Path]) -> Path:
    return photos({"red": 16, "green": 16})


def set_up(data: Path, mirror: str, recipe: str | Recipe = "linear_probe") -> Setting:
    options = [*BASE, f"input.mirror={mirror}"]
    planned = api.plan(data, recipe, overrides=options, weights="none", reporter=Silent())
    return setting_of(planned, None, Silent())


def test_features_are_the_mean_over_both_sides(data: Path) -> None:
    setting = set_up(data, "true")
    items = setting.manifest.part("train")
    plain = body_of(setting.pristine, set_up(data, "false").spec, setting.device)
    files = [setting.manifest.file(item) for item in items]
    (batch,) = eval_loader(files, Reading(setting.spec, 10_000), len(files))
    with torch.inference_mode():
        wanted = (plain(batch.images) + plain(batch.images.flip(2))) / 2
    np.testing.assert_allclose(setting.pristine_features(items), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("train", ["head", "last_1", "layer2", "all"])
@pytest.mark.parametrize("store", [True, False])
def test_what_is_watched_is_what_is_shipped(data: Path, train: str, store: bool) -> None:
    phase = {"name": "top", "train": train, "epochs": 1, "batch_size": 8}
    recipe = Recipe.model_validate({"name": "own", "phases": [phase], "store": {"use": store}})
    setting = set_up(data, "true", recipe)
    model = setting.pristine
    torch.nn.init.normal_(model.get_classifier().weight)
    trainee = Trainee.of(model, setting.recipe.phases[0], 0)
    fit = Fit("main", setting.manifest.part("train"), [], setting.manifest.part("val"))
    passage = passage_of(setting, fit, trainee)
    watched, shipped = passage.logits(fit.monitor), setting.logits(model, fit.monitor)
    np.testing.assert_allclose(watched, shipped, atol=1e-4)
    np.testing.assert_allclose(passage.logits(fit.monitor), watched)
    alone = set_up(data, "false", recipe).logits(model, fit.monitor)
    assert not np.allclose(alone, shipped, atol=1e-3)


@pytest.mark.parametrize(("helpful", "kept"), [("both", True), ("alone", False)])
def test_it_is_kept_where_a_probe_is_better_with_it(
    data: Path, monkeypatch: pytest.MonkeyPatch, helpful: str, kept: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Silent, "say", lambda self, message: said.append(message))
    labels: list[int] = []

    def probe(setting: Setting, items: list) -> np.ndarray:
        labels[:] = setting.labels(items)
        sure = setting.spec.mirror == (helpful == "both")
        right = 2.0 * np.eye(2)[labels]
        noise = np.random.default_rng(0).normal(0, 1, right.shape)
        return right + noise * (0.5 if sure else 2)

    monkeypatch.setattr(mirroring, "_out_of_fold", probe)
    assert mirror_helps(set_up(data, "false"), set_up(data, "true")) is kept
    (line,) = [message for message in said if message.startswith("input.mirror")]
    assert f"input.mirror: {str(kept).lower()}." in line
    assert "lower" in line if kept else "higher" in line


def test_the_decision_stands_in_the_run_and_goes_with_the_classifier(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.api.planning.mirror_helps", lambda alone, both: True)
    run = finetune.train(
        data,
        "linear_probe",
        overrides=[*BASE, "input.mirror=auto"],
        weights="none",
        out=tmp_path / "run",
        reporter=Silent(),
    )
    assert load_recipe(run.directory.recipe).input.mirror is True
    assert run.classifier.spec.mirror
    written = pd.read_csv(run.directory.predictions).query("split == 'test'")
    files = [str(data / path) for path in written.path]
    told = run.predict(files, reporter=Silent())
    np.testing.assert_allclose(told.confidence, written.confidence, atol=1e-4)
