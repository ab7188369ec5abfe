"""A model that knows when not to answer, from the recipe to the CSV file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finetune
from finetune.console import Silent
from finetune.deploy.abstaining import read_abstention, write_abstention
from finetune.errors import RunError
from finetune.evaluation.abstention import Abstention, Conformal, Precision, Unlike
from finetune.evaluation.novelty import directions

Photos = Callable[..., Path]
CLASSES = ("=a", "b")
BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]


class Listening(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, message: str) -> None:
        self.told.append(message)


def train(data: Path, out: Path, *more: str, reporter: Any = None) -> finetune.Run:
    overrides = [*BASE, "evaluate.bootstrap=100", *more]
    reporter = reporter or Silent()
    return finetune.train(
        data, "linear_probe", overrides=overrides, weights="none", out=out, reporter=reporter
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, write_photos: Photos) -> finetune.Run:
    folder = tmp_path_factory.mktemp("abstaining")
    data = write_photos(folder / "photos", {"red": 60, "green": 60}, noise=20)
    return train(data, folder / "run", "evaluate.precision=0.9")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    kept = directions(np.random.default_rng(0).normal(size=(6, 4)))
    full = Abstention(
        Precision(0.9, (0.5, None), 40), Conformal(0.8, 1.5, 40), Unlike(0.99, 0.3, 6, kept)
    )
    write_abstention(tmp_path, full, CLASSES)
    again = read_abstention(tmp_path, CLASSES)
    assert (again.precision, again.conformal) == (full.precision, full.conformal)
    assert again.unlike is not None
    assert np.array_equal(again.unlike.kept, kept)
    assert again.unlike.limit == 0.3


def test_nothing_held_writes_nothing(tmp_path: Path) -> None:
    write_abstention(tmp_path, Abstention(), CLASSES)
    assert not list(tmp_path.iterdir())
    assert read_abstention(tmp_path, CLASSES) == Abstention()


def test_the_model_holds_what_the_recipe_asks_for(run: finetune.Run) -> None:
    held = json.loads((run.path / "model" / "abstention.json").read_text(encoding="utf-8"))
    assert held["precision"]["target"] == 0.9
    assert set(held["precision"]["thresholds"]) == {"red", "green"}
    assert held["coverage"]["target"] == 0.9
    assert held["coverage"]["images"] == held["precision"]["images"] == 102  # train and val
    assert held["unlike"]["images"] == 84


def test_the_scores_say_what_abstaining_comes_to(run: finetune.Run) -> None:
    found = run.metrics["abstention"]
    assert found["asked"] == {"precision": 0.9, "coverage": 0.9, "unlike": 0.99}
    for name in ("answered", "accuracy", "coverage", "unlike"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert 0 < found["set_size"] <= 2


def test_strange_pictures_are_not_answered(
    run: finetune.Run, tmp_path: Path, write_photos: Photos
) -> None:
    strange = write_photos(tmp_path / "strange", {"blue": 4}, noise=0)
    plain = run.predict(strange, reporter=Silent())
    assert set(plain["predicted"]) <= {"red", "green"}
    assert set(plain["reason"]) == {""}
    out = tmp_path / "out.csv"
    finetune.predict(run.path, strange, out=out, abstain=True, reporter=Silent())
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(row["predicted"] == "" and row["confidence"] for row in rows)
    assert all(row["reason"].startswith("unlike the training images") for row in rows)
    assert [row["p:red"] for row in rows] == [f"{value:.6f}" for value in plain["p:red"]]


def test_ordinary_pictures_are_answered(run: finetune.Run) -> None:
    data = Path(json.loads(run.directory.environment.read_text())["data"]["root"])
    frame = run.predict(data, reporter=Silent(), abstain=True)
    answered = frame[frame["reason"] == ""]
    assert len(answered) > 0.5 * len(frame)
    assert set(answered["predicted"]) == {"red", "green"}


def test_a_file_that_cant_be_read_has_an_error_and_no_reason(
    run: finetune.Run, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    frame = run.predict(tmp_path / "broken.png", reporter=Silent(), abstain=True)
    assert frame["error"][0]
    assert frame["reason"][0] == ""


def test_what_a_model_does_not_know_is_told(photos: Photos, tmp_path: Path) -> None:
    nothing = ["evaluate.coverage=null", "evaluate.unlike=null"]
    run = train(photos({"red": 8, "green": 8}), tmp_path / "run", *nothing)
    assert not (run.path / "model" / "abstention.json").exists()
    assert "abstention" not in run.metrics
    with pytest.raises(RunError, match="doesn't know when not to answer"):
        run.predict(tmp_path / "photos", reporter=Silent(), abstain=True)


def test_too_few_images_are_told_once_each(photos: Photos, tmp_path: Path) -> None:
    listening = Listening()
    asked = ["evaluate.precision=0.99", "evaluate.coverage=0.95"]
    run = train(photos({"red": 8, "green": 8}), tmp_path / "run", *asked, reporter=listening)
    told = [line for line in listening.told if "precision of 0.99" in line or "coverage" in line]
    assert len(told) == 2
    assert "2 classes" in told[0]
    assert "green, red" in told[0]
    frame = run.predict(tmp_path / "photos", reporter=Silent(), abstain=True)
    assert set(frame["predicted"]) == {""}


def test_a_tuned_network_learns_its_limit_on_validation(photos: Photos, tmp_path: Path) -> None:
    data = photos({"red": 80, "green": 80}, noise=20)
    phase = {"name": "tune", "train": "all", "epochs": 1, "batch_size": 16}
    recipe = finetune.load_recipe("linear_probe").model_dump() | {"phases": [phase], "name": "own"}
    own = type(finetune.load_recipe("linear_probe")).model_validate(recipe)
    run = finetune.train(
        data, own, overrides=BASE, weights="none", out=tmp_path / "run", reporter=Silent()
    )
    held = json.loads((run.path / "model" / "abstention.json").read_text(encoding="utf-8"))
    assert held["unlike"]["images"] == held["coverage"]["images"] == 24
    assert held["precision"] is None
