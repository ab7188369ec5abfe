"""What a training will take, and that asking changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.features.store import FeatureStore
from finetune.recipe.schema import Recipe
from finetune.training import timing
from finetune.training.estimate import Estimate, estimate
from finetune.training.passage import passage_of
from finetune.training.setting import Fit, Setting
from finetune.training.trainee import Trainee

PHASES = [
    {"name": "probe", "train": "head", "solver": "lbfgs", "views": 3},
    {"name": "top", "train": "last_1", "epochs": 4, "batch_size": 8},
    {"name": "tune", "train": "all", "epochs": 2, "batch_size": 8},
]


@pytest.fixture
def setting(
    photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Setting:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    options = ["model.backbone=test_resnet", "input.size=32", "precision=float32"]
    planned = api.plan(
        photos({"red": 16, "green": 16}),
        Recipe.model_validate({"name": "own", "phases": PHASES}),
        overrides=options,
        weights="none",
        reporter=Silent(),
    )
    return setting_of(planned, None, Silent())


def seconds(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> Estimate:
    """The estimate on a machine on which every batch takes a second an image."""
    monkeypatch.setattr(timing, "_seconds_per_image", lambda *_: 1.0)
    return estimate(setting)


def test_images_are_counted_as_often_as_they_pass(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = (len(setting.manifest.part(part)) for part in ("train", "val"))
    found = seconds(setting, monkeypatch)
    probe, top, tune = found.phases
    assert probe == 2 * train + 2  # two further views, and the solver
    assert top == pytest.approx(4 * train + 4 * train + 4 * val / 3)  # four views are stored
    assert tune == 2 * train + 2 * val
    assert found.features == train + val


def test_what_is_stored_is_not_counted_again(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seconds(setting, monkeypatch)
    train, phase = setting.manifest.part("train"), setting.recipe.phases[1]
    passage_of(setting, Fit("main", train, [], []), Trainee.of(setting.pristine, phase, 1))
    after = seconds(setting, monkeypatch)
    assert before.phases[1] - after.phases[1] == pytest.approx(4 * len(train))


def test_asking_changes_nothing(setting: Setting) -> None:
    weights = {name: value.clone() for name, value in setting.pristine.state_dict().items()}
    state = torch.random.get_rng_state()
    assert estimate(setting).total > 0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(value.equal(weights[n]) for n, value in setting.pristine.state_dict().items())
    assert FeatureStore.usual().size() == 0
