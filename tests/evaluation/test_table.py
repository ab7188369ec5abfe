from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from finetune.evaluation.table import Prediction, read_predictions, to_frame, write_predictions
from finetune.text import from_cell

CLASSES = ("=cmd", "b")
ROWS = [
    Prediction("a/=1.png", "test", "=cmd", np.array([0.75, 0.25])),
    Prediction("a/\x1b\n.png", error="not an image"),
]


def test_what_is_written_is_safe_and_can_be_read_back(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", ROWS, CLASSES)
    raw = (tmp_path / "p.csv").read_text(encoding="utf-8")
    assert "\x1b" not in raw
    assert len(raw.splitlines()) == 3
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first["predicted"] == "'=cmd"
    assert from_cell(first["label"]) == "=cmd"
    assert first["confidence"] == first["p:=cmd"] == "0.750000"
    assert from_cell(second["path"]) == "a/\x1b\n.png"
    assert (second["predicted"], second["confidence"]) == ("", "")


def test_a_frame_has_names_as_they_are_and_numbers_as_numbers() -> None:
    frame = to_frame(ROWS, CLASSES)
    assert list(frame["path"]) == [row.path for row in ROWS]
    assert frame["p:=cmd"].dtype == np.float64
    assert np.isnan(frame["confidence"][1])


def test_reasons_come_back_as_they_were(tmp_path: Path) -> None:
    reason = "two or more classes are possible: =cmd, b"
    rows = [
        Prediction("a.png", probabilities=np.array([0.5, 0.5]), reason=each)
        for each in (reason, "=1", "")
    ]
    write_predictions(tmp_path / "p.csv", rows, CLASSES)
    found = read_predictions(tmp_path / "p.csv").predictions
    assert [row.reason for row in found] == [reason, "=1", ""]
    assert [row.row(CLASSES)[3] for row in found] == ["", "", "=cmd"]
