from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import finetune
from finetune.console import Silent
from finetune.errors import DataError
from finetune.experiments.learning_curve import LearningCurve

Photos = Callable[..., Path]
TINY = [
    *("model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"),
    "evaluate.bootstrap=100",
]


def _curve(data: Path, *more: str, **options) -> LearningCurve:
    return finetune.learning_curve(
        data, overrides=[*TINY, *more], weights="none", reporter=Silent(), **options
    )


def test_a_curve_is_traced_and_written(photos: Photos, tmp_path: Path) -> None:
    data = photos({"red": 24, "green": 12}, noise=110)
    curve = _curve(data, sizes=[2, 4, 8, 100], repeats=2, out=tmp_path / "curve")
    assert [point.size for point in curve.points] == [2, 4, 8, 21]
    assert [point.images for point in curve.points] == [4, 8, 16, 31]
    assert curve.points[-1].per_class == 15.5
    assert curve.judged == 5
    for point in curve.points:
        for score in (point.accuracy, point.log_loss):
            assert score.low <= score.value <= score.high
        assert point.accuracy.low < point.accuracy.high
    with (tmp_path / "curve" / "learning_curve.csv").open(encoding="utf-8") as file:
        assert [row["size"] for row in csv.DictReader(file)] == ["2", "4", "8", "21"]
    told = json.loads((tmp_path / "curve" / "learning_curve.json").read_text(encoding="utf-8"))
    assert told["sentence"] == curve.sentence()
    assert "can't be told" in curve.sentence()  # five images judge, and 100 more are far away
    assert "<table>" in curve._repr_html_()
    assert "4 sizes" in repr(curve)
    accuracy, log_loss = curve.curves().charts
    assert [x for x, _ in accuracy.lines[0].points] == [2, 4, 8, 15.5]
    assert len(accuracy.whiskers) == len(log_loss.whiskers) == 4
    assert accuracy.told in curve._repr_html_()


def test_it_is_the_same_once_more(photos: Photos) -> None:
    data = photos({"red": 15, "green": 15}, noise=110)
    first, second = (_curve(data, sizes=[2, 5], repeats=2) for _ in range(2))
    assert first == second


def test_without_a_test_part_there_is_no_judge(photos: Photos) -> None:
    with pytest.raises(DataError, match="no test part to judge"):
        _curve(photos({"red": 12, "green": 12}), "data.test=0")


def test_groups_of_judging_images_widen_it(photos: Photos) -> None:
    data = photos({"red": 48, "green": 48}, noise=110)
    rows = [
        f"{path.relative_to(data).as_posix()},{path.parent.name},{part},g{number // 6}"
        for number, path in enumerate(sorted(data.rglob("*.png")))
        for part in ["train" if number % 48 < 24 else "test"]
    ]
    table = data / "groups.csv"
    table.write_text("\n".join(["path,label,split,group", *rows]), encoding="utf-8")
    widths = []
    for group in ("none", "auto"):
        curve = _curve(table, f"data.group={group}", sizes=[4, 8])
        widths.append([point.accuracy.high - point.accuracy.low for point in curve.points])
    alone, grouped = widths
    assert all(wide > 1.2 * narrow for wide, narrow in zip(grouped, alone, strict=True))
