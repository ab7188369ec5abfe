"""The command line as a person meets it."""

from __future__ import annotations

import errno
import os
import signal
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
        (["train", "--resume", "photos", "--recipe", "lp_ft"], "--recipe"),
        (["train", "photos/red", "--weights", "none"], "name the folder above"),
        (["train", "photos", "--recipe", "mien.yaml"], "Beside it there is mine.yaml"),
        (["recipes", "suggest", "photos", "--out", "photos/own.yaml"], "inside DATA"),
        (["train", "n" * 300], "too long"),
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
    (tmp_path / "mine.yaml").write_text("extends: lp_ft", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert told in shown.err + shown.out
    assert "Traceback" not in shown.err


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(
    photos: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, model = photos({"red": 12, "green": 12}, noise=10), tmp_path / "my run"

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("finetune.api.training.run_course", interrupted)
    train = ["train", str(data), "-r", "linear_probe", "-w", "none", "-o", str(model)]
    assert run(monkeypatch, *train, *settings()) == 130
    assert f"finetune train --resume '{model}'" in capsys.readouterr().err
    moved = data.rename(tmp_path / "moved")
    assert run(monkeypatch, "train", "--resume", str(model), str(moved)) == 130
    assert f"finetune train --resume '{model}' {moved}" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(monkeypatch, "train", "--resume", str(model), str(moved)) == 0
    assert "accuracy of guessing" in capsys.readouterr().out


def test_sigterm_ends_with_143_and_says_how_to_go_on(
    photos: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, model = photos({"red": 12, "green": 12}, noise=10), tmp_path / "run"
    monkeypatch.setattr(
        "finetune.api.training.run_course", lambda _: signal.raise_signal(signal.SIGTERM)
    )
    before = signal.getsignal(signal.SIGTERM)
    train = ["train", str(data), "-r", "linear_probe", "-w", "none", "-o", str(model)]
    assert run(monkeypatch, *train, *settings()) == 143
    assert f"finetune train --resume {model}" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_before_a_run_was_made_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("finetune.api.training.plan", interrupted)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert run(monkeypatch, "train", "photos") == 130
    assert "--resume" not in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(
    photos: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, locked = photos({"red": 4, "green": 4}), tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert run(monkeypatch, "train", str(data), "-w", "none", "-o", str(locked / "run")) == 2
    assert "can't be written to" in capsys.readouterr().err


def test_a_full_disk_is_told_without_a_traceback(
    photos: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there/model")

    monkeypatch.setattr("finetune.api.train", full)
    assert run(monkeypatch, "train", str(photos({"red": 4, "green": 4}))) == 2
    assert "/there/model: No space left on device" in capsys.readouterr().err


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
    for what in (
        "python",
        "timm",
        "fit each other",
        "number formats",
        "model hub",
        "disk",
        "feature store",
    ):
        assert what in shown
