from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import finetune
from finetune.data.manifest import Item, Manifest
from finetune.errors import RunError
from finetune.evaluation.table import Prediction, write_predictions

CLASSES = ("a", "b")


def _folder(path: Path, wrong: set[int], *, count: int = 20, label: str = "") -> Path:
    """What `finetune evaluate` would write of a classifier that is wrong on some images."""
    rows = []
    for n in range(count):
        true = label or CLASSES[n % 2]
        sure = 0.1 if n in wrong else 0.8
        shares = np.array([sure, 1 - sure] if true == "a" else [1 - sure, sure])
        rows.append(Prediction(f"{n:02}.png", "test", true, shares))
    write_predictions(path / "predictions.csv", rows, CLASSES)
    return path


def _manifest(path: Path, *, group: int = 0, changed: int = -1) -> None:
    items = [
        Item(
            f"{n:02}.png",
            CLASSES[n % 2],
            "test",
            f"g{n // group}" if group else "",
            "other" if n == changed else f"{n}",
        )
        for n in range(20)
    ]
    Manifest.of(path, items).write_csv(path / "data.csv")


def test_two_folders_are_compared_both_ways(tmp_path: Path) -> None:
    one, other = _folder(tmp_path / "one", {1}), _folder(tmp_path / "other", {2, 3, 4, 5, 6})
    there, back = finetune.compare(one, other), finetune.compare(other, one)
    (pair,), (mirrored,) = there.pairs, back.pairs
    assert pair.difference.accuracy.value == pytest.approx(0.2)
    assert mirrored.difference.accuracy.value == pytest.approx(-0.2)
    assert (pair.difference.only_first, pair.difference.only_second) == (5, 1)
    assert pair.corrected == pytest.approx(2 * 7 / 64)
    assert [row[0] for row in there.differing()] == [f"{n:02}.png" for n in range(1, 7)]
    assert there.notes() == []


def test_what_is_written_and_shown(tmp_path: Path) -> None:
    folders = [
        _folder(tmp_path / name, wrong) for name, wrong in (("x", {1}), ("y", {2}), ("z", set()))
    ]
    done = finetune.compare(*folders, out=tmp_path / "out")
    told = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert len(told["pairs"]) == 3
    assert told["pairs"][0]["per_class"]["b"]["only_second"] == 1
    assert told["pairs"][0]["p_corrected"] == 1.0
    with (tmp_path / "out" / "differences.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["path", "label"]
    assert len(rows) == 3
    assert "Holm" in done.notes()[0]
    assert "<table>" in done._repr_html_()
    assert "20 images" in repr(done)


def test_other_images_other_bytes_other_labels_are_told(tmp_path: Path) -> None:
    one = _folder(tmp_path / "one", set())
    _manifest(one)
    with pytest.raises(RunError, match=r"2 images in .*one alone: 18.png, 19.png"):
        finetune.compare(one, _folder(tmp_path / "fewer", set(), count=18))
    changed = _folder(tmp_path / "changed", set())
    _manifest(changed, changed=3)
    with pytest.raises(RunError, match=r"1 image with other bytes: 03.png"):
        finetune.compare(one, changed)
    with pytest.raises(RunError, match="10 images under another label"):
        finetune.compare(one, _folder(tmp_path / "labels", set(), label="a"))
    with pytest.raises(RunError, match=r"no predictions.csv"):
        finetune.compare(one, tmp_path)
    with pytest.raises(RunError, match="two runs at least"):
        finetune.compare(one)


def test_groups_are_drawn_whole_and_it_is_told(tmp_path: Path) -> None:
    one, other = _folder(tmp_path / "one", {1}), _folder(tmp_path / "other", {2, 3, 6, 7})
    alone = finetune.compare(one, other)
    _manifest(one, group=4)
    grouped = finetune.compare(one, other)
    assert grouped.grouped
    assert not alone.grouped
    assert "groups" in grouped.notes()[0]
    assert grouped.pairs[0].difference.log_loss != alone.pairs[0].difference.log_loss


def test_a_class_that_one_of_them_does_not_know(tmp_path: Path) -> None:
    one = _folder(tmp_path / "one", set())
    wider = tmp_path / "wider"
    shares = np.array([0.3, 0.3, 0.4])
    rows = [Prediction(f"{n:02}.png", "test", CLASSES[n % 2], shares) for n in range(20)]
    write_predictions(wider / "predictions.csv", rows, (*CLASSES, "c"))
    done = finetune.compare(one, wider)
    assert done.classes == ("a", "b", "c")
    assert done.scores[1]["accuracy"] == 0.0
    shutil.rmtree(wider)
