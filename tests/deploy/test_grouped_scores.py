"""Groups of DATA reach the intervals, after training and in `evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import finetune
from finetune.console import Silent
from finetune.errors import RunError

BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]


class Listening(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, message: str) -> None:
        self.told.append(message)


def _table(data: Path, name: str, size: int) -> Path:
    """The pictures of ``data``, ``size`` neighbours in each group."""
    files = sorted(data.rglob("*.png"))
    rows = [
        f"{path.relative_to(data).as_posix()},{path.parent.name},{path.parent.name}{number // size}"
        for number, path in enumerate(files)
    ]
    table = data / name
    table.write_text("\n".join(["path,label,group", *rows]), encoding="utf-8")
    return table


def test_groups_widen_the_scores(photos: Callable[..., Path], tmp_path: Path) -> None:
    data = photos({"red": 48, "green": 48}, noise=60)
    listening = Listening()
    run = finetune.train(
        _table(data, "groups.csv", 4),
        "linear_probe",
        overrides=[*BASE, "evaluate.bootstrap=100"],
        weights="none",
        out=tmp_path / "run",
        reporter=listening,
    )
    assert run.metrics["groups"] * 4 == run.metrics["n"]
    assert not [line for line in listening.told if "interval" in line]
    assert "accuracy" in run.metrics["unsure"]
    found = {
        size: finetune.evaluate(
            run.path, _table(data, f"{size}.csv", size), tmp_path / str(size), reporter=Silent()
        )
        for size in (1, 8)
    }
    assert found[1]["groups"] == 96
    assert found[8]["groups"] == 12
    assert found[8]["accuracy"]["value"] == found[1]["accuracy"]["value"]
    assert found[8]["accuracy"]["low"] < found[1]["accuracy"]["low"]
    assert "groups" in found[8]["unsure"]["class_scores"]


def test_what_evaluate_writes_is_compared_by_groups(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    data = photos({"red": 24, "green": 24}, noise=60)
    table = _table(data, "groups.csv", 4)
    for number in (1, 2):
        run = tmp_path / f"run-{number}"
        finetune.train(
            data, "linear_probe", overrides=[*BASE, f"seed={number}", "evaluate.bootstrap=100"],
            weights="none", out=run, reporter=Silent(),
        )  # fmt: skip
        finetune.evaluate(run, table, tmp_path / str(number), reporter=Silent())

    compared = finetune.compare(tmp_path / "1", tmp_path / "2")

    assert any("groups" in note for note in compared.notes())
    other = data / "red" / "000.png"
    other.write_bytes((data / "red" / "001.png").read_bytes())
    finetune.evaluate(tmp_path / "run-2", table, tmp_path / "changed", reporter=Silent())
    with pytest.raises(RunError, match=r"1 image with other bytes: red/000\.png"):
        finetune.compare(tmp_path / "1", tmp_path / "changed")
