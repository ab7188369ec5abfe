"""``recipe: auto`` from DATA to the run directory, with a tiny network."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import finetune
from finetune import api
from finetune.choosing import depth
from finetune.choosing.traits import ProbeTraits
from finetune.cli.app import app
from finetune.console import Silent
from finetune.errors import RecipeError
from finetune.recipe.schema import GradientPhase

COUNTS = {"red": 24, "green": 24, "blue": 24}
QUICK = ["input.size=32", "evaluate.bootstrap=100"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    save_file(network.state_dict(), file, metadata={"architecture": "test_resnet"})
    return file


@pytest.fixture
def poor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that leaves room for fine-tuning."""
    monkeypatch.setattr(api.choosing, "probe", lambda _: ProbeTraits(50, 0.6, 1.0))


def train(data: Path, out: Path, weights: Path, *overrides: str) -> finetune.Run:
    given = [*QUICK, *overrides]
    return finetune.train(
        data, "auto", overrides=given, weights=weights, out=out, reporter=Silent()
    )


def test_a_training_writes_its_recipe_with_the_reasons(
    photos: Callable[..., Path], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth, "SURE", 20)
    run = train(photos(COUNTS), tmp_path / "run", weights)
    text = run.directory.recipe.read_text(encoding="utf-8")
    assert text.startswith("# Made by --recipe auto for photos")
    assert "# The head alone: on frozen features" in text
    assert "# Given by hand.\n  size: 32" in text
    assert [phase.name for phase in finetune.load_recipe(run.directory.recipe).phases] == ["probe"]


def test_what_is_suggested_is_what_is_trained_by_and_reads_back(
    photos: Callable[..., Path], weights: Path, tmp_path: Path, poor: None
) -> None:
    data = photos(COUNTS)
    suggestion = finetune.suggest(data, overrides=QUICK, weights=weights, reporter=Silent())
    file = tmp_path / "own.yaml"
    file.write_text(suggestion.text(), encoding="utf-8")
    assert finetune.load_recipe(file) == suggestion.recipe
    planned = api.plan(data, "auto", overrides=QUICK, weights=weights, reporter=Silent())
    resolved = planned.recipe.model_copy(update={"precision": "auto"})
    assert resolved == suggestion.recipe
    assert [phase.train for phase in resolved.phases] == ["head", "all"]


def test_a_resumed_run_follows_the_recipe_that_it_began_with(
    photos: Callable[..., Path],
    weights: Path,
    tmp_path: Path,
    poor: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, out = photos(COUNTS, noise=120), tmp_path / "run"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("finetune.api.training.finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(data, out, weights, "phases.tune.epochs=1")
    before = (out / "recipe.yaml").read_bytes()
    monkeypatch.setattr(depth, "FEW", 10_000)  # it would choose otherwise now
    run = finetune.resume(out, reporter=Silent())
    assert (out / "recipe.yaml").read_bytes() == before
    assert [phase["name"] for phase in run.phases["phases"]] == ["probe", "tune"]


def test_the_command_line_stands_over_what_is_chosen(
    photos: Callable[..., Path], weights: Path, poor: None
) -> None:
    given = [*QUICK, "phases.tune.train=last_1", "seed=7", "name=mine", "augment.policy=medium"]
    recipe = finetune.suggest(
        photos(COUNTS), overrides=given, weights=weights, reporter=Silent()
    ).recipe
    tune = recipe.phases[1]
    assert isinstance(tune, GradientPhase)
    assert (tune.train, recipe.seed, recipe.name) == ("last_1", 7, "mine")
    assert (recipe.augment.policy, recipe.input.size) == ("medium", 32)


def test_a_wrong_key_is_told_before_any_image_is_looked_at(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="epochs"):
        api.plan(
            tmp_path, "auto", overrides=["phases.tune.epoch=3"], weights=weights, reporter=Silent()
        )


def test_test_labels_have_no_part_in_it(
    photos: Callable[..., Path], weights: Path, poor: None
) -> None:
    data = photos(COUNTS)
    for part, names in (("train", COUNTS), ("test", COUNTS)):
        for name in names:
            files = sorted((data / name).glob("*.png"))
            (data / part / name).mkdir(parents=True)
            for file in files[:16] if part == "train" else files:
                shutil.move(file, data / part / name)
    for name in COUNTS:
        (data / name).rmdir()
    before = finetune.suggest(data, overrides=QUICK, weights=weights, reporter=Silent())
    (data / "test" / "red").rename(data / "test" / "swapped")
    (data / "test" / "green").rename(data / "test" / "red")
    (data / "test" / "swapped").rename(data / "test" / "green")
    after = finetune.suggest(data, overrides=QUICK, weights=weights, reporter=Silent())
    assert after.recipe == before.recipe
    assert after.about[:4] == before.about[:4]


def test_without_a_network_it_is_said_that_no_probe_was_tried(
    photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    suggestion = finetune.suggest(photos(COUNTS), overrides=["seed=2"], reporter=Silent())
    text = suggestion.text()
    assert "none was tried (the weights were not there)" in text
    assert "Time: not known." in text
    assert [phase.train for phase in suggestion.recipe.phases] == ["head", "all"]
    assert suggestion.recipe.seed == 2


def test_without_weights_a_fixed_recipe_is_taken(photos: Callable[..., Path]) -> None:
    recipe = finetune.suggest(
        photos(COUNTS),
        overrides=["model.backbone=test_resnet", "phases.train.epochs=1"],
        weights="none",
        reporter=Silent(),
    ).recipe
    assert not recipe.model.pretrained
    assert recipe.phases[0].train == "all"


def test_a_cross_validation_chooses_once(
    photos: Callable[..., Path], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = photos(COUNTS), tmp_path / "cv"

    def cross_validate() -> None:
        finetune.cv(
            data, "auto", folds=2, repeats=1, overrides=QUICK, weights=weights, out=out,
            reporter=Silent(),
        )  # fmt: skip

    monkeypatch.setattr(depth, "SURE", 20)
    cross_validate()
    text = (out / "recipe.yaml").read_text(encoding="utf-8")
    assert "# Made by --recipe auto" in text
    monkeypatch.setattr(depth, "NEAR_PERFECT", 2.0)  # it would choose otherwise now
    cross_validate()
    assert (out / "recipe.yaml").read_text(encoding="utf-8") == text


def test_the_command_writes_and_never_overwrites(
    photos: Callable[..., Path], weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "own.yaml"
    command = ["recipes", "suggest", str(photos(COUNTS)), "--weights", str(weights)]
    first = CliRunner().invoke(app, [*command, "--set", "input.size=32", "--out", str(out)])
    assert first.exit_code == 0, first.output
    assert finetune.load_recipe(out).name == "auto"
    again = CliRunner().invoke(app, [*command, "--out", str(out)])
    assert isinstance(again.exception, RecipeError)
    assert "already there" in str(again.exception)


def test_auto_is_listed_and_is_no_file() -> None:
    assert " auto " in CliRunner().invoke(app, ["recipes", "list"]).stdout
    with pytest.raises(RecipeError, match="recipes suggest DATA"):
        finetune.load_recipe("auto")
