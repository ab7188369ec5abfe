"""``finetune demo``: the first thing that a new user sees."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import demo, main
from finetune.errors import HubUnreachable


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the demo asks to be trained; nothing is."""
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(demo, "start_run", lambda *given, **_: asked.append(given))
    return asked


def test_without_the_hub_it_goes_on_and_says_so(
    started: list[tuple[Any, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    demo.run_demo(tmp_path / "demo", None)
    shown = capsys.readouterr().err
    assert "goes on without pretrained weights" in shown
    assert "Recipe: small_scratch" in shown
    assert "1,797 scanned digits" in shown
    ((data, recipe, overrides, weights, out),) = started
    assert (recipe, overrides, weights, out) == ("small_scratch", [], None, None)
    assert len(list(Path(data).rglob("*.png"))) == 1797


def test_with_the_hub_it_takes_pretrained_weights(
    started: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.model.weights.fetch_weights", lambda _: None)
    demo.run_demo(tmp_path / "demo", None)
    assert started[0][1] == "linear_probe"


def test_a_second_demo_takes_the_pictures_that_are_there(
    started: list[tuple[Any, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def gone(_: object) -> None:
        raise HubUnreachable("no answer")

    monkeypatch.setattr("finetune.model.weights.fetch_weights", gone)
    demo.run_demo(tmp_path, None)
    demo.run_demo(tmp_path, None)
    assert "there already" in capsys.readouterr().err
    assert len(started) == 2


@pytest.mark.slow
def test_the_whole_demo_without_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["finetune", "demo"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    run = tmp_path / "runs" / "digits-small_scratch-1"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["accuracy"]["value"] >= 0.95
    shown = capsys.readouterr().out
    assert "Run directory: " in shown
    assert "Report: " in shown
    for command in ("finetune predict", "finetune evaluate", "finetune recipes show"):
        assert command in shown
