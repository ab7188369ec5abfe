"""The learning rate range test on tiny pictures."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

import finetune
from finetune.console import Silent
from finetune.errors import RecipeError, RunError
from finetune.experiments.found_rate import FoundRate
from finetune.experiments.range_test import position_of
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe

Photos = Callable[..., Path]
TINY = [
    *("model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"),
    "phases.tune.batch_size=8",
]
TWO = {"red": 16, "green": 16}


def found_in(data: Path, recipe: str | Recipe = "lp_ft", *more: str, **options) -> FoundRate:
    told = {"weights": "none", "reporter": Silent()} | options
    return finetune.lr_find(data, recipe, overrides=[*TINY, *more], **told)


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found}


def test_a_rate_is_found_and_nothing_else_is_left(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photos(TWO)
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    found = found_in(data)
    assert files(tmp_path) == before
    assert found.phase == "tune"
    assert len(found.rates) == len(found.losses) <= 100
    assert found.rates[0] == 1e-7
    assert found.suggestion is not None
    assert found.option == f"--set phases.tune.optimizer.lr={found.suggestion:g}"
    assert found_in(data) == found


def test_the_rate_is_the_first_stages_too(photos: Photos) -> None:
    """Halved from stage to stage, the head's rate does less; the curve is another."""
    data = photos(TWO)
    even = found_in(data, "lp_ft", "phases.tune.lr_decay=1.0")
    falling = found_in(data, "lp_ft", "phases.tune.lr_decay=0.1")
    assert even.losses[0] == falling.losses[0]
    assert even.losses != falling.losses


def test_pictures_are_of_the_phases_own_size(photos: Photos) -> None:
    data = photos(TWO)
    own = found_in(data, "full_finetune", "phases.tune.size=24")
    assert own == found_in(data, "full_finetune", "input.size=24")
    assert own != found_in(data, "full_finetune")


def test_phases_before_it_are_run_and_epochs_of_it_do_not_matter(photos: Photos) -> None:
    told = {"train": "head", "batch_size": 8, "optimizer": {"lr": 0.05}}
    phases = [{"name": "first", "epochs": 2, **told}, {"name": "tune", "epochs": 1, **told}]
    recipe = Recipe.model_validate({"name": "own", "phases": phases})
    data = photos(TWO, noise=20)
    first, second = found_in(data, recipe), found_in(data, recipe, phase="tune")
    assert (first.phase, second.phase) == ("first", "tune")
    assert second.losses[0] < first.losses[0]
    assert found_in(data, recipe, "phases.first.epochs=2", phase="tune") == second


def test_it_is_written_as_a_page_or_a_table(photos: Photos, tmp_path: Path) -> None:
    found = found_in(photos(TWO), out=tmp_path / "rates.html")
    page = (tmp_path / "rates.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert found.option in page
    assert "://" not in page
    found.write(tmp_path / "rates.csv")
    with (tmp_path / "rates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["rate"]) for row in rows] == pytest.approx(found.rates, rel=1e-4)
    assert found.option in found._repr_html_()
    assert found.option.removeprefix("--set phases.tune.optimizer.lr=") in repr(found)


def test_places_that_cannot_be_written_are_refused_first(photos: Photos, tmp_path: Path) -> None:
    data = photos(TWO)
    with pytest.raises(RunError, match=r"Name it \.html or \.csv"):
        found_in(data, out=tmp_path / "rates.png")
    with pytest.raises(RunError, match="lies inside DATA"):
        found_in(data, out=data / "rates.html")


def test_a_phase_without_a_rate_is_refused() -> None:
    assert position_of(load_recipe("lp_ft"), None) == 1
    with pytest.raises(RecipeError, match=r"probe is no phase with a rate .*: tune\)"):
        position_of(load_recipe("lp_ft"), "probe")
    with pytest.raises(RecipeError, match="no rate to find"):
        position_of(load_recipe("linear_probe"), None)


def test_a_curve_that_ran_away_at_once_suggests_nothing() -> None:
    found = FoundRate("tune", (1e-7, 2e-7), (1.0, math.inf))
    assert found.suggestion is None
    assert found.option == ""
    assert "no rate is suggested" in found.sentences()[0]
    assert "no rate is suggested" in found._repr_html_()
    assert len(found.text()) == 17


def test_a_wrong_phase_is_told_before_the_images_are_looked_at(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.api.planning.read_data", Mock(side_effect=AssertionError))
    with pytest.raises(RecipeError, match="tuen is no phase with a rate"):
        found_in(photos(TWO), phase="tuen")
