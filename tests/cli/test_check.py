from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from click.testing import Result
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from finetune.cli.app import app
from finetune.errors import RunError


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["check", *arguments])


@pytest.fixture
def data(photos: Callable[..., Path]) -> Path:
    folder = photos({"red": 12, "blue": 12})
    shutil.copy(folder / "red" / "000.png", folder / "blue" / "twin.png")
    (folder / "red" / "[bold]broken.png").write_bytes(b"no image")
    Image.new("RGB", (40, 40), "white").save(folder / "blue" / "blank.png")
    return folder


def test_the_summary_fits_a_screen(data: Path) -> None:
    out = run(str(data)).stdout
    lines = out.splitlines()
    assert lines[0].startswith("photos: 26 images in 2 classes (")
    assert "red/[bold]broken.png: not an image" in out
    assert "blue/blank.png: nearly one colour" in out
    assert "1 picture stands in several classes" in out
    assert out.count("advice: ") == 3
    assert len(lines) <= 24
    assert [path.name for path in data.parent.iterdir()] == ["photos"]


def test_what_was_found_is_written(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "checked"
    assert run(str(data), "--out", str(out)).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["check.html", "check.json", "fixes.csv"]
    record = json.loads((out / "check.json").read_text(encoding="utf-8"))
    assert [each["path"] for each in record["bad"]] == ["red/[bold]broken.png"]
    (twins,) = record["duplicates"]
    assert twins["paths"] == ["blue/twin.png", "red/000.png"]
    assert (twins["kind"], twins["labels"]) == ("exact", ["blue", "red"])
    fixes = (out / "fixes.csv").read_text(encoding="utf-8").splitlines()
    assert fixes[0] == "path,problem,suggestion"
    assert any(row.startswith("blue/blank.png,") and row.endswith(",drop") for row in fixes)


def test_nothing_is_written_into_data_or_over_anything(data: Path, tmp_path: Path) -> None:
    inside = run(str(data), "--out", str(data / "checked")).exception
    assert isinstance(inside, RunError)
    assert "lies inside DATA" in str(inside)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    full = run(str(data), "--out", str(tmp_path / "full")).exception
    assert isinstance(full, RunError)
    assert "is not empty" in str(full)


def test_a_network_finds_what_pixels_do_not_show(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    out = tmp_path / "checked"
    arguments = ["--weights", str(weights), "--set", "model.backbone=test_resnet"]
    shown = run(str(data), "--out", str(out), *arguments)
    assert "pairs alike to the network" in shown.stdout
    pairs = json.loads((out / "check.json").read_text(encoding="utf-8"))["lookalikes"]
    assert all({"paths", "labels", "cosine"} == set(pair) for pair in pairs)
    assert ["blue/twin.png", "red/000.png"] not in [pair["paths"] for pair in pairs]


def test_a_network_doubts_a_label_that_is_wrong(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    data = photos({"red": 20, "green": 20}, noise=10)
    (data / "green" / "007.png").rename(data / "red" / "moved.png")
    out = tmp_path / "checked"
    arguments = ["--weights", str(weights), "--set", "model.backbone=test_resnet"]
    shown = run(str(data), "--out", str(out), *arguments)
    assert "labels that are doubtful" in shown.stdout
    (told,) = json.loads((out / "check.json").read_text(encoding="utf-8"))["suspects"]
    assert (told["path"], told["given"], told["suggested"]) == ("red/moved.png", "red", "green")
    fixes = (out / "fixes.csv").read_text(encoding="utf-8").splitlines()
    (row,) = [fix for fix in fixes if fix.endswith("relabel to green")]
    assert row.startswith("red/moved.png,trainings that never saw it say green with ")
    assert "Labels that are doubtful" in (out / "check.html").read_text(encoding="utf-8")


def test_names_are_no_markup(photos: Callable[..., Path], tmp_path: Path) -> None:
    data = photos({"red": 12, "blue": 12}, "photos[b]")
    assert f"'{data}' --out DIR" in run(str(data)).output
    out = tmp_path / "found[bold]"
    assert f"'{out}'/check.html" in run(str(data), "--out", str(out)).output
