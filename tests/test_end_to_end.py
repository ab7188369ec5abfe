"""The main job on tiny data: folder in, run directory out."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import timm
import torch

import finetune
from finetune.console import Silent
from finetune.data.manifest import read_manifest
from finetune.errors import DataError, FinetuneError, RunError
from finetune.recipe.loading import load_recipe
from finetune.text import from_cell

TINY = [
    "data.workers=0",
    "precision=float32",
    "model.backbone=test_resnet",
    "input.size=48",
    "phases.tune.epochs=2",
]
COUNTS = {"red": 24, "green": 24, "blue": 24}


def train(data: Path, out: Path, *overrides: str, recipe: str = "lp_ft") -> finetune.Run:
    return finetune.train(
        data, recipe, overrides=[*TINY, *overrides], weights="none", out=out, reporter=Silent()
    )


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, write_photos: Callable[..., Path]
) -> finetune.Run:
    folder = tmp_path_factory.mktemp("main-job")
    return train(write_photos(folder / "photos", COUNTS, noise=120), folder / "run")


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_run_directory_holds_what_the_contract_says(run: finetune.Run) -> None:
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "recipe.yaml",
        "data.csv",
        "environment.json",
        "phases.json",
        "log.csv",
        "tensorboard",
        "model",
        "predictions.csv",
        "metrics.json",
        "out_of_fold.csv",
        "report.html",
        "images",
    }
    assert {path.name for path in (run.path / "model").iterdir()} == {
        "README.md",
        "model.safetensors",
        "config.json",
        "preprocessing.json",
        "abstention.json",
        "neighbours.safetensors",
    }


def test_an_earlier_division_is_kept_and_its_file_recorded(
    run: finetune.Run, tmp_path: Path
) -> None:
    data = tmp_path / "photos"
    shutil.copytree(run.path.parent / "photos", data)
    shutil.move(data / "red" / "003.png", data / "red" / "moved.png")
    shutil.copy(data / "blue" / "000.png", data / "blue" / "copy.png")
    again = train(data, tmp_path / "run", f"data.splits={run.path}", "seed=9")
    before = read_manifest(run.path / "data.csv", data).items
    after = {item.digest: item.split for item in read_manifest(again.path / "data.csv", data).items}
    assert {item.digest: item.split for item in before} == after
    assert load_recipe(again.path / "recipe.yaml").data.splits is None
    environment = json.loads((again.path / "environment.json").read_text())
    file = run.path / "data.csv"
    assert environment["data"]["named"] == {
        "data.splits": {
            "file": str(file),
            "digest": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
    }


def test_predictions_have_the_columns_and_a_row_per_image(run: finetune.Run) -> None:
    with (run.path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("path", "split", "label", "predicted", "confidence", "error", "reason"),
        *("p:blue", "p:green", "p:red"),
    ]
    splits = [row["split"] for row in rows]
    assert (splits.count("val"), splits.count("test")) == (11, 11)
    for row in rows:
        values = [float(row[f"p:{name}"]) for name in ("blue", "green", "red")]
        assert sum(values) == pytest.approx(1, abs=1e-5)
        assert max(values) == float(row["confidence"])
        assert (run.path.parent / "photos" / row["path"]).is_file()


def test_metrics_are_those_of_the_predictions(run: finetune.Run) -> None:
    with (run.path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    right = [row["label"] == row["predicted"] for row in rows]
    losses = [-np.log(float(row[f"p:{row['label']}"]) + 1e-12) for row in rows]
    metrics = run.metrics
    assert metrics["split"] == "test"
    assert metrics["n"] == len(rows)
    assert metrics["classes"] == ["blue", "green", "red"]
    assert metrics["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert metrics["log_loss"]["value"] == pytest.approx(np.mean(losses), abs=1e-4)
    assert metrics["accuracy"]["low"] < metrics["accuracy"]["high"]
    assert set(metrics["uncalibrated"]) == {"log_loss", "brier", "ece"}
    assert metrics["baseline"]["majority"]["value"] == pytest.approx(1 / 3, abs=0.1)


def test_the_saved_model_predicts_what_the_run_said(run: finetune.Run) -> None:
    with (run.path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    files = [run.path.parent / "photos" / row["path"] for row in rows]
    frame = run.predict(files, reporter=Silent())
    assert list(frame["predicted"]) == [row["predicted"] for row in rows]
    expected = [float(row["confidence"]) for row in rows]
    assert frame["confidence"].to_numpy() == pytest.approx(expected, abs=2e-6)


def test_timm_loads_the_model_folder(run: finetune.Run) -> None:
    model = timm.create_model(f"local-dir:{run.path / 'model'}", pretrained=True).eval()
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.allclose(model(images), run.model(images), atol=1e-5)


def test_the_audit_proves_that_frozen_stages_stayed(run: finetune.Run) -> None:
    phases = run.phases["phases"]
    assert [phase["name"] for phase in phases] == ["probe", "tune"]
    assert sum(phase["kept"] for phase in phases) == 1
    for phase in phases:
        if "frozen" in phase:
            assert phase["frozen"]["digest_before"] == phase["frozen"]["digest_after"]
            assert phase["seconds"] > 0


def test_the_written_recipe_repeats_the_run(run: finetune.Run, tmp_path: Path) -> None:
    recipe = load_recipe(run.path / "recipe.yaml")
    assert recipe.input.size == 48
    assert recipe.precision in ("float32", "bfloat16")
    again = finetune.train(
        run.path.parent / "photos", recipe, weights="none", out=tmp_path / "r", reporter=Silent()
    )
    name = "predictions.csv"
    assert (again.path / name).read_bytes() == (run.path / name).read_bytes()


@pytest.mark.parametrize("workers", [0, 2])
def test_the_number_of_workers_changes_nothing(
    run: finetune.Run, tmp_path: Path, workers: int
) -> None:
    again = train(run.path.parent / "photos", tmp_path / "r", f"data.workers={workers}")
    name = "predictions.csv"
    assert (again.path / name).read_bytes() == (run.path / name).read_bytes()


def test_data_is_left_as_it_was(photos: Callable[..., Path], tmp_path: Path) -> None:
    data = photos({"a": 8, "b": 8})
    before = digests(data)
    train(data, tmp_path / "run", "phases.tune.epochs=1")
    assert digests(data) == before


def test_evaluate_scores_other_images(
    run: finetune.Run, photos: Callable[..., Path], tmp_path: Path
) -> None:
    data = photos({"red": 5, "blue": 5}, noise=30)
    (data / "red" / "broken.png").write_bytes(b"no image")
    metrics = finetune.evaluate(run.path, data, tmp_path / "scores", reporter=Silent())
    assert metrics["n"] == 10
    assert metrics["split"] == "all"
    assert metrics["per_class"]["green"]["recall"]["value"] is None
    saved = json.loads((tmp_path / "scores" / "metrics.json").read_text(encoding="utf-8"))
    assert saved == metrics
    with (tmp_path / "scores" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    assert [row["path"] for row in rows if row["error"]] == ["red/broken.png"]
    with pytest.raises(RunError, match="not empty"):
        finetune.evaluate(run.path, data, tmp_path / "scores", reporter=Silent())


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "val")])
def test_evaluate_scores_the_part_that_was_kept_apart(
    run: finetune.Run, photos: Callable[..., Path], tmp_path: Path, parts: tuple[str, str]
) -> None:
    photos({"red": 4, "blue": 4}, name=f"data/{parts[0]}")
    data = photos({"red": 2, "blue": 3}, name=f"data/{parts[1]}").parent
    metrics = finetune.evaluate(run.path, data, tmp_path / "scores", reporter=Silent())
    assert (metrics["split"], metrics["n"]) == ("test", 5)


def test_evaluate_does_not_score_train_where_test_cannot_be_read(
    run: finetune.Run, photos: Callable[..., Path], tmp_path: Path
) -> None:
    photos({"red": 4, "blue": 4}, name="data/train")
    data = photos({"red": 1}, name="data/test").parent
    (data / "test" / "red" / "000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="test part has no image"):
        finetune.evaluate(run.path, data, tmp_path / "scores", reporter=Silent())
    assert not (tmp_path / "scores").exists()


def test_evaluate_keeps_the_runs_intervals(
    run: finetune.Run, photos: Callable[..., Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(run.path, other)
    recipe = other / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace("confidence: 0.95", "confidence: 0.5"), encoding="utf-8")
    data = photos({"red": 5, "blue": 5})
    for number, model in enumerate((other, other / "model")):
        metrics = finetune.evaluate(model, data, tmp_path / f"s{number}", reporter=Silent())
        assert metrics["confidence"] == 0.5


def test_evaluate_refuses_a_class_that_the_model_does_not_know(
    run: finetune.Run, photos: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="purple"):
        finetune.evaluate(run.path, photos({"purple": 3, "red": 3}), tmp_path / "scores")


def test_predicting_goes_on_past_what_cannot_be_read(
    run: finetune.Run, photos: Callable[..., Path], tmp_path: Path
) -> None:
    data = photos({"red": 3})
    (data / "red" / "=broken\n.png").write_bytes(b"no image")
    frame = finetune.predict(run.path, data, out=tmp_path / "p.csv", reporter=Silent())
    assert len(frame) == 4
    failed = frame[frame["error"] != ""]
    assert list(failed["path"]) == [str(data / "red" / "=broken\n.png")]
    assert list(failed["predicted"]) == [""]
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        paths = [from_cell(row["path"]) for row in csv.DictReader(file)]
    assert paths == list(frame["path"])
    with pytest.raises(RunError, match="exists already"):
        finetune.predict(run.path, data, out=tmp_path / "p.csv")


def test_a_notebook_shows_the_scores(run: finetune.Run, tmp_path: Path) -> None:
    hostile = tmp_path / "<script>alert(1)<"
    shutil.copytree(run.path, hostile)
    shown = finetune.load_run(hostile)._repr_html_()
    assert f"<td>{run.metrics['accuracy']['value']:.3f}</td>" in shown
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert f"accuracy {run.metrics['accuracy']['value']:.3f}" in repr(run)


def test_later_phases_are_not_run_when_they_would_not_be_kept(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    data = photos({"red": 20, "green": 20}, noise=10)
    result = train(
        data, tmp_path / "run", "phases.tune.optimizer.lr=5", "phases.tune.clip_norm=null"
    )
    assert result.phases["kept"] == "probe"
    assert result.phases["refitted"]
    assert "not run" in result.phases["phases"][1]["ended"]
    assert result.metrics["accuracy"]["value"] == 1.0


def test_a_recipe_can_insist_on_its_last_phase(photos: Callable[..., Path], tmp_path: Path) -> None:
    data = photos({"red": 12, "green": 12}, noise=10)
    result = train(data, tmp_path / "run", "keep=last")
    assert result.phases["kept"] == "tune"
    assert result.phases["judged_images"] == 0


def test_faults_are_told_before_anything_is_written(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    data = photos({"red": 12, "green": 12})
    for overrides, told in [
        (["phases.tune.train=layer9"], "layer9"),
        (["phases.tune.optimizer.name=adamww"], "adamw"),
        (["augment.transforms=[{name: HorizontalFlop}]"], "HorizontalFlip"),
        (["model.backbone=resnet5"], "resnet50"),
    ]:
        with pytest.raises(FinetuneError, match=told):
            train(data, tmp_path / "run", *overrides)
        assert not (tmp_path / "run").exists()


def test_wrong_names_are_told_together_before_the_images_are_looked_at(
    photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.api.planning.read_data", Mock(side_effect=AssertionError))
    wrong = ["phases.tune.train=layer9", "phases.tune.optimizer.name=adamww"]
    with pytest.raises(FinetuneError, match="layer9") as told:
        train(photos({"red": 12, "green": 12}), tmp_path / "run", *wrong)
    assert "adamw" in str(told.value)
