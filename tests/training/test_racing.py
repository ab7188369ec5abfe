"""A race of rates in whole trainings on tiny pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import finetune
from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.errors import RecipeError, TrainingError
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe
from finetune.training.estimate import estimate
from finetune.training.preview import show_stages
from finetune.training.stepping import Stepper

Photos = Callable[..., Path]
Batch = Any

BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]
RATES = [0.0003, 0.003, 0.03]
TWO = {"red": 24, "green": 24}


class Killed(BaseException):
    """What no part of a training expects."""


def recipe(*, probe: bool = False, rates: Sequence[float] = RATES, **options: object) -> Recipe:
    """A phase of 6 epochs whose rates race; after a probe, phases are judged out-of-fold."""
    tune = {"name": "tune", "train": "last_1", "epochs": 6, "batch_size": 8, **options}
    tune["optimizer"] = {"lr": {"race": list(rates)}}
    phases = [{"name": "probe", "train": "head", "solver": "lbfgs"}] if probe else []
    return Recipe.model_validate({"name": "own", "phases": [*phases, tune]})


def train(data: Path, out: Path, asked: Recipe, *more: str, **options: Any) -> finetune.Run:
    told = {"reporter": Silent()} | options
    return finetune.train(data, asked, overrides=[*BASE, *more], weights="none", out=out, **told)


def race_of(run: finetune.Run) -> dict[str, Any]:
    race: dict[str, Any] = run.phases["phases"][-1]["race"]
    return race


def parts(run: finetune.Run) -> Counter[str]:
    """Images of each part."""
    return Counter(pd.read_csv(run.path / "data.csv")["split"])


def outcome(run: finetune.Run) -> tuple[Any, ...]:
    """All that a repeated run has to have the same, clocks apart."""
    files = [(run.path / name).read_bytes() for name in ("predictions.csv", "metrics.json")]
    phases = [{k: v for k, v in p.items() if k != "seconds"} for p in run.phases["phases"]]
    race = {key: value for key, value in race_of(run).items() if key != "seconds"}
    return *files, [*phases[:-1], phases[-1] | {"race": race}]


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Counter[float]:
    """Images passed in training, by the peak rate that they were passed at."""
    found, plain = Counter[float](), Stepper.add

    def counted(stepper: Stepper, batch: Batch, images: int, *place: int | str) -> Any:
        if place[-1] != "estimate":
            found[stepper.phase.optimizer.peak] += len(batch.labels)
        return plain(stepper, batch, images, *place)

    monkeypatch.setattr(Stepper, "add", counted)
    return found


def test_all_of_it_passes_at_most_twice_the_images_of_the_phase(
    photos: Photos, tmp_path: Path, passed: Counter[float]
) -> None:
    run = train(photos(TWO), tmp_path / "run", recipe())
    images = 6 * parts(run)["train"]
    race = race_of(run)
    in_race = sum(lap["images"] for lap in race["laps"])
    assert passed.total() == in_race + images <= 2 * images
    assert in_race > images / 2
    assert passed[race["won"]] > images > max(passed[r] for r in RATES if r != race["won"])


def test_the_winner_trains_as_if_it_had_been_given(photos: Photos, tmp_path: Path) -> None:
    data = photos(TWO, noise=100)
    raced = train(data, tmp_path / "raced", recipe(probe=True))
    won = race_of(raced)["won"]
    given = train(data, tmp_path / "given", recipe(probe=True), f"phases.tune.optimizer.lr={won}")
    names = ["predictions.csv", "metrics.json", "model/model.safetensors"]
    for name in names:
        assert (raced.path / name).read_bytes() == (given.path / name).read_bytes(), name
    rows = raced.log[~raced.log["fit"].str.startswith("race")].reset_index(drop=True)
    columns = ["fit", "phase", "epoch", "step", "lr", "train_loss", "val_log_loss"]
    assert rows[columns].equals(given.log[columns])


def test_the_race_is_told_lap_by_lap(photos: Photos, tmp_path: Path) -> None:
    run = train(photos(TWO, noise=100), tmp_path / "run", recipe(probe=True))
    race = race_of(run)
    first, last = race["laps"][:3], race["laps"][3:]
    assert [lap["rate"] for lap in first] == RATES
    assert len(last) == 2
    assert {lap["rate"] for lap in last} == {lap["rate"] for lap in first if not lap["dropped"]}
    (winner,) = (lap for lap in last if not lap["dropped"])
    assert winner["rate"] == race["won"]
    assert winner["log_loss"] == min(lap["log_loss"] for lap in last)
    # The first of three folds raced, on what it doesn't learn from, and on the validation part.
    expected = parts(run)["train"] / 3 + parts(run)["val"]
    assert race["judged_images"] == pytest.approx(expected, abs=1)
    fits = run.log["fit"].unique()
    assert (
        sum(fit.startswith("race-") for fit in fits) == len(race["laps"]) == 5
    )  # and not once more for other folds
    assert f"{race['won']:g} won a race by log loss" in (run.path / "report.html").read_text(
        "utf-8"
    )
    assert load_recipe(run.path / "recipe.yaml").phases[-1].optimizer.raced == tuple(RATES)


@pytest.mark.parametrize("steps", [2, 11, 40])
def test_a_race_that_was_killed_ends_as_another(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    data, asked = photos(TWO, noise=100), recipe(early_stopping={"patience": 2}, ema={})
    whole = train(data, tmp_path / "whole", asked)
    plain, left = Stepper.step, [steps]

    def killed(stepper: Stepper, number: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        plain(stepper, number)

    with monkeypatch.context() as patch:
        patch.setattr("finetune.api.training.estimate", lambda _: None)
        patch.setattr("finetune.api.training.show_plan", lambda *_: None)
        patch.setattr(Stepper, "step", killed)
        with pytest.raises(Killed):
            train(data, tmp_path / "broken", asked)
    resumed = finetune.resume(tmp_path / "broken", reporter=Silent())
    assert outcome(resumed) == outcome(whole)


def test_a_rate_that_runs_away_is_dropped(photos: Photos, tmp_path: Path) -> None:
    away = recipe(rates=[0.001, 100.0], train="all", clip_norm=None)
    told = {"phases.tune.optimizer.name=sgd"}
    race = race_of(train(photos(TWO), tmp_path / "run", away, *told))
    assert race["won"] == 0.001
    assert race["laps"][1]["log_loss"] is None


def test_where_all_run_away_it_is_told(photos: Photos, tmp_path: Path) -> None:
    away = recipe(rates=[90.0, 100.0], train="all", clip_norm=None)
    with pytest.raises(TrainingError, match=r"no rate of the race.*\n.*optimizer.lr=9$"):
        train(photos(TWO), tmp_path / "run", away, "phases.tune.optimizer.name=sgd")


def test_each_stage_follows_the_rate_that_won(photos: Photos, tmp_path: Path) -> None:
    run = train(photos(TWO), tmp_path / "run", recipe(lr_decay=0.5))
    stages = run.phases["phases"][-1]["stages"]
    assert [row["lr"] for row in stages[-2:]] == [race_of(run)["won"] / 2, race_of(run)["won"]]


def test_there_must_be_something_to_compare_on(photos: Photos, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no validation part to compare rates on"):
        train(photos(TWO), tmp_path / "run", recipe(), "data.val=0")
    assert race_of(train(photos(TWO, "more"), tmp_path / "run", recipe(probe=True), "data.val=0"))


class Told(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_a_race_is_foretold(photos: Photos) -> None:
    reporter = Told()
    planned = api.plan(photos(TWO), recipe(), overrides=BASE, weights="none", reporter=reporter)
    setting = setting_of(planned, None, reporter)
    show_stages(setting)
    assert "0.0003, 0.003, 0.03" in reporter.lines[-1]
    found = estimate(setting)
    assert 0 < found.racing < 3 * found.phases[0]
    assert found.total > found.racing + found.phases[0]


def test_a_phase_too_short_is_refused_before_work_starts(photos: Photos, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="would not do one step"):
        train(photos(TWO), tmp_path / "run", recipe(epochs=1, batch_size=64))
    assert not (tmp_path / "run").exists()
