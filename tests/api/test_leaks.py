"""Pictures in two parts, from DATA to the scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import finetune
from finetune.console import Silent
from finetune.data.manifest import read_manifest
from finetune.errors import DataError

COPIED = 4


class Listener(Silent):
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, message: str) -> None:
        self.warned.append(message)


@pytest.fixture
def leaky(photos: Callable[..., Path]) -> Path:
    """Four of the ten pictures of class red's test part are in train too."""
    data = photos({"red": 12, "blue": 12}, name="data/train").parent
    photos({"red": 22, "blue": 22}, name="other")
    for name in ("red", "blue"):
        (data / "test" / name).mkdir(parents=True)
        for number in range(12, 22):
            file = f"{number:03}.png"
            shutil.copy(data.parent / "other" / name / file, data / "test" / name / file)
    for number in range(COPIED):
        shutil.copy(data / "train" / "red" / f"{number:03}.png",
                    data / "test" / "red" / f"copy-{number}.png")  # fmt: skip
    return data


def train(data: Path, out: Path, *overrides: str, reporter: Silent | None = None) -> finetune.Run:
    tiny = ["data.workers=0", "model.backbone=test_resnet", "input.size=48", *overrides]
    return finetune.train(
        data, "linear_probe", overrides=tiny, weights="none", out=out,
        reporter=reporter or Silent(),
    )  # fmt: skip


def test_the_accuracy_is_told_without_the_leaked_images_too(leaky: Path, tmp_path: Path) -> None:
    listener = Listener()
    run = train(leaky, tmp_path / "run", reporter=listener)
    (told,) = [warning for warning in listener.warned if "scores may be too good" in warning]
    assert told.startswith("4 images of test are in train too")
    assert run.metrics["n"] == 20 + COPIED
    assert run.metrics["leaked"]["n"] == COPIED
    table = run.directory.predictions.read_text().splitlines()[1:]
    honest = [row for row in table if ",test," in row and "copy-" not in row]
    right = sum(row.split(",")[2] == row.split(",")[3] for row in honest)
    assert run.metrics["leaked"]["accuracy_without"]["value"] == pytest.approx(right / len(honest))
    items = read_manifest(run.directory.data, leaky).items
    marked = {item.path: item.copy_of for item in items if item.copy_of}
    assert marked == {
        f"test/red/copy-{n}.png": f"train/red/{n:03}.png" for n in range(COPIED)
    }  # fmt: skip


def test_the_copies_that_would_be_learnt_from_can_be_dropped(leaky: Path, tmp_path: Path) -> None:
    run = train(leaky, tmp_path / "run", "data.on_leak=drop")
    assert "leaked" not in run.metrics
    assert run.metrics["n"] == 20 + COPIED
    items = read_manifest(run.directory.data, leaky).items
    dropped = [item for item in items if item.status == "dropped"]
    assert [item.path for item in dropped] == [f"train/red/{n:03}.png" for n in range(COPIED)]
    assert dropped[0].reason == "a copy of it is in test: test/red/copy-0.png"


def test_leaks_can_end_the_run_before_anything_is_written(leaky: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="4 images of test are in train too") as caught:
        train(leaky, tmp_path / "run", "data.on_leak=error")
    assert "copy-0.png is the same file as train/red/000.png" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_fixes_that_a_check_writes_are_applied(leaky: Path, tmp_path: Path) -> None:
    findings = finetune.check(leaky, out=tmp_path / "checked", reporter=Silent())
    assert len(findings.leaks) == COPIED
    fixes = tmp_path / "checked" / "fixes.csv"
    run = train(leaky, tmp_path / "run", f"data.fixes={fixes}")
    assert "leaked" not in run.metrics
    items = read_manifest(run.directory.data, leaky).items
    assert sum(item.reason.startswith("dropped as asked for") for item in items) == COPIED


def test_scoring_images_that_were_learnt_from_is_told(leaky: Path, tmp_path: Path) -> None:
    run = train(leaky, tmp_path / "run", "data.on_leak=drop")
    listener = Listener()
    finetune.evaluate(run.path, leaky / "train", tmp_path / "scores", reporter=listener)
    (told,) = [warning for warning in listener.warned if "trained or chosen on" in warning]
    assert told.startswith("20 images are byte for byte among those")
