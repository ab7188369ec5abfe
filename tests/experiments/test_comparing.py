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
from finetune.recipe.loading import load_recipe
from finetune.recipe.writing import dump

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


def _cross_validation(
    path: Path,
    wrong: set[int],
    *,
    folds: int = 5,
    repeats: int = 2,
    count: int = 20,
    shift: int = 0,
) -> Path:
    """What `finetune cv` would write of a recipe that is wrong on some images in every repeat."""
    rows, more = [], {"fold": [], "repeat": []}
    for repeat in range(repeats):
        for n in range(count):
            true, sure = CLASSES[n % 2], 0.1 if n in wrong else 0.8
            shares = np.array([sure, 1 - sure] if true == "a" else [1 - sure, sure])
            rows.append(Prediction(f"{n:02}.png", "out-of-fold", true, shares))
            more["fold"].append(str((n + repeat + shift) // 2 % folds + 1))
            more["repeat"].append(str(repeat + 1))
    write_predictions(path / "out_of_fold.csv", rows, CLASSES, more)
    _manifest(path)
    (path / "recipe.yaml").write_text(dump(load_recipe("linear_probe")), encoding="utf-8")
    (path / "experiment.json").write_text("{}", encoding="utf-8")
    by_fold = [{"n": count // folds, "learnt_from": count - count // folds}] * folds
    (path / "cv.json").write_text(json.dumps({"by_fold": by_fold}), encoding="utf-8")
    for fold in range(folds):
        place = path / "folds" / f"1-{fold}"
        place.mkdir(parents=True)
        stages = [{"parameters": 7}, {"parameters": 2}]
        record = {"phases": [{"seconds": 4.0 + fold, "stages": stages}]}
        (place / "phases.json").write_text(json.dumps(record), encoding="utf-8")
    return path


def test_two_cross_validations_are_compared_over_their_folds(tmp_path: Path) -> None:
    one = _cross_validation(tmp_path / "one", {1})
    other = _cross_validation(tmp_path / "other", {2, 3, 4, 5, 6})
    done = finetune.compare(one, other, out=tmp_path / "out")
    (pair,) = done.pairs
    assert pair.difference.accuracy.value == pytest.approx(0.2)
    assert (pair.difference.only_first, pair.difference.only_second) == (5, 1)
    assert pair.difference.p_value >= 2 * 7 / 64
    assert (done.folds, done.repeats, done.split) == (5, 2, "out-of-fold")
    assert done.scores[0] == {
        "accuracy": pytest.approx(0.95), "log_loss": pytest.approx(0.327, abs=1e-3),
        "parameters": 9, "seconds": 6.0,
    }  # fmt: skip
    assert "10 trainings" in done.notes()[0]
    assert "all 2 repeats" in done.notes()[1]
    assert "corrected t" in done._repr_html_()
    told = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert (told["folds"], told["repeats"], told["n"], told["differing"]) == (5, 2, 20, 6)


def test_a_single_repeat_counts_images_as_runs_do(tmp_path: Path) -> None:
    wrong = {1}, {2, 3, 4, 5, 6}
    folded = [
        _cross_validation(tmp_path / f"cv{n}", each, repeats=1) for n, each in enumerate(wrong)
    ]
    runs = [_folder(tmp_path / f"run{n}", each) for n, each in enumerate(wrong)]
    (one,), (other,) = finetune.compare(*folded).pairs, finetune.compare(*runs).pairs
    assert one.difference.per_class == other.difference.per_class
    assert one.difference.accuracy.low <= other.difference.accuracy.low
    assert one.difference.accuracy.high >= other.difference.accuracy.high


def test_other_folds_are_told(tmp_path: Path) -> None:
    one = _cross_validation(tmp_path / "one", set())
    with pytest.raises(RunError, match=r"5 folds and 2 repeats in .*one\n3 folds and 2 repeats in"):
        finetune.compare(one, _cross_validation(tmp_path / "three", set(), folds=3))
    with pytest.raises(RunError, match="5 folds and 1 repeat in"):
        finetune.compare(one, _cross_validation(tmp_path / "once", set(), repeats=1))
    with pytest.raises(RunError, match=r"20 images in another fold: 00.png"):
        finetune.compare(one, _cross_validation(tmp_path / "other", set(), shift=2))
    with pytest.raises(RunError, match=r"2 images in .*one alone"):
        finetune.compare(one, _cross_validation(tmp_path / "fewer", set(), count=18))


def test_a_cross_validation_and_a_run_are_not_compared(tmp_path: Path) -> None:
    one, run = _cross_validation(tmp_path / "cv", set()), _folder(tmp_path / "run", set())
    for order in ((one, run), (run, one)):
        with pytest.raises(RunError, match=r"cv: is a cross-validation, and .*run is none"):
            finetune.compare(*order)
    (one / "cv.json").unlink()
    with pytest.raises(RunError, match="its cross-validation has not come to its end"):
        finetune.compare(one, one)
