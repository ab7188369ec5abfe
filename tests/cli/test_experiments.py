"""``finetune cv``, ``compare``, ``learning-curve`` and ``lr-find`` as a person meets them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.experiments import cross_validation

Photos = Callable[..., Path]
TINY = [
    *("model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"),
    "evaluate.bootstrap=100",
]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["finetune", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def settings(*more: str) -> list[str]:
    return ["-w", "none", *(part for value in (*TINY, *more) for part in ("--set", value))]


def test_cross_validate_stop_and_go_on(
    photos: Photos,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = photos({"red": 12, "green": 12}, noise=90), tmp_path / "my cv"
    command = ["cv", str(data), "-r", "linear_probe", "--folds", "3", "--repeats", "1"]
    command += ["--out", str(out), *settings()]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cross_validation, "side_by_side", interrupted)
        assert run(monkeypatch, *command) == 130
    assert f"--out '{out}'" in capsys.readouterr().err
    assert run(monkeypatch, *command) == 0
    shown = capsys.readouterr()
    assert "24 out-of-fold images" in shown.out
    assert "3 trainings of" in shown.err
    assert run(monkeypatch, *command) == 0
    assert "scored already" in capsys.readouterr().err
    assert run(monkeypatch, "train", "--resume", str(out)) == 2
    assert "there is no environment.json in it" in capsys.readouterr().err


def test_a_place_of_its_own(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photos({"red": 6, "green": 6})
    monkeypatch.chdir(tmp_path)
    command = ["cv", str(data), "-r", "linear_probe", "--folds", "2", "--repeats", "1"]
    assert run(monkeypatch, *command, *settings()) == 0
    assert (tmp_path / "runs" / "photos-linear_probe-cv-1" / "cv.json").is_file()
    assert run(monkeypatch, *command, "--folds", "9", *settings("data.val=0")) == 0
    assert run(monkeypatch, *command, "--folds", "99", *settings()) == 2


def test_compare_and_trace_a_curve(
    photos: Photos,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = photos({"red": 14, "[b]green": 14}, noise=140)
    for name, l2 in (("one", "1e-3"), ("other", "1.0")):
        train = ["train", str(data), "-r", "linear_probe", "-o", str(tmp_path / name)]
        assert run(monkeypatch, *train, *settings(f"phases.probe.l2={l2}")) == 0
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "compare", "one", "other", "--out", "compared") == 0
    shown = capsys.readouterr().out
    assert "On the same 4 test images" in shown
    assert "one − other" in shown
    assert (tmp_path / "compared" / "comparison.json").is_file()
    assert run(monkeypatch, "compare", "one", "one") == 0
    assert "They say the same of every image." in capsys.readouterr().out
    assert run(monkeypatch, "compare", "one") == 2

    curve = ["learning-curve", str(data), "--sizes", "2,4,100", "--repeats", "2", *settings()]
    assert run(monkeypatch, *curve) == 0
    assert "100 more images per class would buy can't be told" in capsys.readouterr().out
    assert run(monkeypatch, "learning-curve", str(data), "--sizes", "few", *settings()) == 2


def test_a_rate_is_found(
    photos: Photos,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = photos({"red": 16, "green": 16})
    asked = ["lr-find", str(data), "--phase", "tune", "--out", str(tmp_path / "rates.csv")]
    assert run(monkeypatch, *asked, *settings("phases.tune.batch_size=8")) == 0
    shown = capsys.readouterr().out
    assert "loss by learning rate" in shown
    assert "To train by it: --set phases.tune.optimizer.lr=" in shown
    assert (tmp_path / "rates.csv").is_file()
    assert run(monkeypatch, "lr-find", str(data), "--phase", "tuna", *settings()) == 2
    assert "tuna is no phase with a rate" in capsys.readouterr().err
