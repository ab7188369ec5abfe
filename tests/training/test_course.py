"""Whole trainings on tiny pictures: what each kind of recipe comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import finetune
from finetune.console import Silent
from finetune.data.batches import batch_count
from finetune.errors import RunError, TrainingError
from finetune.model.precision import native_bfloat16
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import GradientPhase, Recipe
from finetune.training import judging

Photos = Callable[..., Path]

BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]
TWO = {"red": 20, "green": 20}


def train(data: Path, out: Path, recipe: str | Recipe, *more: str) -> finetune.Run:
    return finetune.train(
        data, recipe, overrides=[*BASE, *more], weights="none", out=out, reporter=Silent()
    )


def one_phase(**options: object) -> Recipe:
    phase = {"name": "tune", "train": "all", "batch_size": 8, **options}
    return Recipe.model_validate({"name": "own", "phases": [phase]})


@pytest.mark.parametrize("entry", finetune.catalogue(), ids=lambda entry: entry.name)
def test_every_recipe_of_the_catalogue_trains(entry, photos: Photos, tmp_path: Path) -> None:
    recipe = load_recipe(entry.name)
    short = [
        f"phases.{phase.name}.{key}"
        for phase in recipe.phases
        if isinstance(phase, GradientPhase)
        for key in ("epochs=1", "batch_size=8", "accumulate=1")
    ]
    run = train(photos(TWO, noise=20), tmp_path / "run", entry.name, *short)
    assert run.metrics["n"] == 6
    assert [phase["name"] for phase in run.phases["phases"]] == [p.name for p in recipe.phases]
    trained = [phase for phase in run.phases["phases"] if "stages" in phase]
    for phase in trained:
        moved = any(stage["trained"] for stage in phase["stages"])
        assert moved, phase["name"]


def weak_probe_then(*more: str) -> tuple[str, ...]:
    """A probe held down so hard that tuning has to win."""
    return (
        "phases.probe.l2=1000",
        "phases.tune.batch_norm=train",
        "phases.tune.optimizer.lr=0.01",
        "phases.tune.batch_size=8",
        "phases.tune.epochs=4",
        *more,
    )


def test_a_later_phase_that_wins_is_kept_and_calibrated_out_of_fold(
    photos: Photos, tmp_path: Path
) -> None:
    run = train(photos(TWO, noise=20), tmp_path / "run", "lp_ft", *weak_probe_then())
    assert run.phases["kept"] == "tune"
    assert not run.phases["refitted"]
    assert run.phases["judged_on"] == "training images, out-of-fold"
    assert run.phases["judged_images"] == 28
    assert run.phases["calibrated_on"] == "training images, out-of-fold"
    assert run.metrics["accuracy"]["value"] == 1.0
    assert "as the recipe says" in run.phases["phases"][0]["ended"]


def test_enough_validation_images_judge_and_calibrate(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "ENOUGH", 5)
    run = train(photos(TWO, noise=20), tmp_path / "run", "lp_ft", *weak_probe_then())
    assert run.phases["kept"] == "tune"
    assert run.phases["judged_on"] == "validation images"
    assert run.phases["judged_images"] == 6
    assert run.phases["calibrated_on"] == "validation images"
    assert set(run.log["fit"]) == {"main"}


@pytest.mark.parametrize("recipe", ["linear_probe", "lp_ft"])
def test_without_a_validation_part(photos: Photos, tmp_path: Path, recipe: str) -> None:
    more = ["phases.tune.epochs=1"] if recipe == "lp_ft" else []
    run = train(photos(TWO, noise=20), tmp_path / "run", recipe, "data.val=0", *more)
    assert run.metrics["split"] == "test"
    assert run.metrics["n"] == 6


def test_nothing_to_score_on(photos: Photos, tmp_path: Path) -> None:
    data = photos(TWO, noise=20)
    run = train(data, tmp_path / "run", "linear_probe", "data.val=0", "data.test=0")
    assert run.metrics["n"] == 0
    assert run.metrics["accuracy"] == {"value": None, "low": None, "high": None}
    assert "–" in repr(run)
    assert "–" in run._repr_html_()


def test_too_few_groups_for_folds_are_judged_on_validation(photos: Photos, tmp_path: Path) -> None:
    data = photos({"red": 12, "green": 12}, noise=20)
    rows = [f"{c}/{n:03}.png,{c},g{n % 3}" for c in ("red", "green") for n in range(12)]
    table = data / "groups.csv"
    table.write_text("\n".join(["path,label,group", *rows]), encoding="utf-8")
    run = train(table, tmp_path / "run", "lp_ft", "phases.tune.epochs=1")
    assert run.phases["judged_on"] == "validation images"
    assert run.phases["judged_images"] == 8


def test_steps_and_accumulated_batches_are_counted_as_lightning_does(
    photos: Photos, tmp_path: Path
) -> None:
    data = photos(TWO, noise=20)  # 28 to train on: four batches of 8
    run = train(data, tmp_path / "a", one_phase(epochs=2, accumulate=3, batch_norm="train"))
    assert run.log["step"].tolist() == [2, 4]
    run = train(data, tmp_path / "b", one_phase(steps=5, batch_norm="train"))
    assert run.log["step"].tolist() == [4, 5]
    assert run.phases["phases"][0]["ended"] == "5 steps, as the recipe says"


def test_early_stopping_restores_the_best_epoch_bit_for_bit(photos: Photos, tmp_path: Path) -> None:
    data = photos({"red": 24, "green": 24}, noise=130)
    same = {
        "lr_schedule": {"name": "constant"},
        "optimizer": {"name": "adamw", "lr": 0.02},
        "batch_norm": "train",
    }
    stopped = train(
        data, tmp_path / "a", one_phase(epochs=8, early_stopping={"patience": 2}, **same)
    )
    audit = stopped.phases["phases"][0]
    best = audit["best_epoch"]
    losses = stopped.log["val_log_loss"]
    assert best == int(losses.idxmin()) + 1
    assert best < audit["epochs"]
    plain = train(data, tmp_path / "b", one_phase(epochs=best, **same))
    name = "model/model.safetensors"
    restored, trained = load_file(stopped.path / name), load_file(plain.path / name)
    assert all(torch.equal(restored[key], trained[key]) for key in trained)


@pytest.mark.skipif(
    not native_bfloat16(torch.device("cpu")), reason="the processor has no native bfloat16"
)
def test_bfloat16_learns(photos: Photos, tmp_path: Path) -> None:
    recipe = one_phase(epochs=4, batch_norm="train", optimizer={"name": "adamw", "lr": 0.01})
    run = train(photos(TWO, noise=20), tmp_path / "run", recipe, "precision=bfloat16")
    assert run.log["train_loss"].iloc[-1] < 0.7 * run.log["train_loss"].iloc[0]
    assert run.metrics["accuracy"]["value"] == 1.0
    kinds = {value.dtype for value in load_file(run.path / "model" / "model.safetensors").values()}
    assert torch.bfloat16 not in kinds


def test_one_image_left_over_does_not_stop_batch_norm(photos: Photos, tmp_path: Path) -> None:
    data = photos({"red": 12, "green": 12}, noise=20)  # 16 to train on
    recipe = one_phase(epochs=1, batch_norm="train", batch_size=5)
    assert batch_count(16, 5) == 3
    run = train(data, tmp_path / "run", recipe, "model.backbone=resnet10t")
    assert np.isfinite(run.log["train_loss"]).all()


def test_a_rate_that_runs_away_is_told(photos: Photos, tmp_path: Path) -> None:
    recipe = one_phase(epochs=3, clip_norm=None, optimizer={"name": "momentum", "lr": 100})
    with pytest.raises(TrainingError, match=r"optimizer\.lr=10"):
        train(photos(TWO), tmp_path / "run", recipe, "data.val=0.3")


def test_frozen_stages_of_the_saved_model_are_the_pretrained_ones(
    photos: Photos, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate(
        {"name": "own", "phases": [{"name": "top", "train": "last_1", "epochs": 1}]}
    )
    data = photos(TWO, noise=20)
    tuned = load_file(train(data, tmp_path / "a", recipe).path / "model" / "model.safetensors")
    start = load_file(
        train(data, tmp_path / "b", "linear_probe").path / "model" / "model.safetensors"
    )
    changed = {name for name in start if not torch.equal(start[name], tuned[name])}
    assert changed
    assert all(name.startswith(("layer4", "fc")) for name in changed)


def edited(run: Path, name: str, old: str, new: str) -> None:
    path = run / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("recipe.yaml", "epochs: 2", "epochs: 3"), ("data.csv", ",train,", ",test,")],
)
def test_what_the_run_wrote_may_not_be_edited_before_it_goes_on(
    photos: Photos, tmp_path: Path, name: str, old: str, new: str
) -> None:
    run = train(photos(TWO, noise=20), tmp_path / "run", one_phase(epochs=2))
    run.directory.metrics.unlink()  # as if it had been stopped before its end
    edited(run.path, name, old, new)
    with pytest.raises(RunError, match=f"{name} is not as the run wrote it"):
        finetune.resume(run.path, reporter=Silent())


def test_a_run_on_a_table_is_resumed_by_its_table(photos: Photos, tmp_path: Path) -> None:
    data = photos(TWO, noise=20)
    rows = [f"{c}/{n:03}.png,{c}" for c in TWO for n in range(20)]
    table = data / "list.csv"
    table.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    run = train(table, tmp_path / "run", one_phase(epochs=1))
    before = run.directory.predictions.read_bytes()
    run.directory.metrics.unlink()
    again = finetune.resume(run.path, table, reporter=Silent())
    assert again.directory.predictions.read_bytes() == before
