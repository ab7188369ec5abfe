"""The command line as a person meets it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.cli import main

TINY = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["finetune", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def settings(*more: str) -> list[str]:
    return [part for value in (*TINY, *more) for part in ("--set", value)]


def test_train_predict_and_evaluate(
    photos: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, model = photos({"red": 12, "green[b]": 12}, noise=10), tmp_path / "run"
    train = ["train", str(data), "-r", "linear_probe", "-w", "none", "-o", str(model)]
    assert run(monkeypatch, *train, *settings()) == 0
    shown = capsys.readouterr()
    assert "green[b]" in shown.out
    assert f"finetune predict {model}" in shown.out
    assert "accuracy of guessing" in shown.out
    assert "frozen" in shown.err
    assert max(len(line) for line in shown.out.splitlines() if str(tmp_path) not in line) <= 80

    out = tmp_path / "p.csv"
    assert run(monkeypatch, "predict", str(model), str(data), "--out", str(out)) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 25
    scores = tmp_path / "scores"
    assert run(monkeypatch, "evaluate", str(model), str(data), "--out", str(scores)) == 0
    assert "24 labelled images" in capsys.readouterr().out
    assert (scores / "metrics.json").is_file()


def test_a_dry_run_writes_nothing(
    photos: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = photos({"red": 12, "green": 12})
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(monkeypatch, "train", str(data), "-w", "none", "--dry-run", *settings()) == 0
    assert sorted(tmp_path.rglob("*")) == before
    shown = capsys.readouterr().err
    assert "About" in shown
    assert "layer4" in shown
    assert "photos-lp_ft-1" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train"], "name DATA"),
        (["train", "photso"], "photos"),
        (["train", "photos", "--recipe", "lp_tf"], "lp_ft"),
        (["train", "photos", "--set", "sed=1"], "seed"),
        (["train", "photos", "--weights", "none", "--set", "model.backbone=resnet5"], "resnet50"),
        (["train", "photos", "--weights", "gone.safetensors"], "gone.safetensors"),
        (["train", "photos", "--weights", "none", "--out", "photos/run"], "inside DATA"),
        (["train", "--resume", "photos"], "environment.json"),
        (["train", "--resume", "photos", "--weights", "none"], "--weights"),
        (["predict", "photos", "photos", "--out", "p.csv"], "no run directory"),
        (["evaluate", "nowhere", "photos", "--out", "e"], "does not exist"),
    ],
)
def test_what_the_user_can_mend_ends_with_status_two(
    photos: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    photos({"red": 4, "green": 4})
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert told in shown.err + shown.out
    assert "Traceback" not in shown.err


def test_help_lists_the_commands() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "finetune", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("train", "predict", "evaluate", "demo", "doctor", "recipes"):
        assert command in result.stdout


def test_the_doctor_looks_at_the_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert run(monkeypatch, "doctor") == 0
    shown = capsys.readouterr().out
    for what in ("python", "timm", "fit each other", "number formats", "model hub", "disk"):
        assert what in shown
