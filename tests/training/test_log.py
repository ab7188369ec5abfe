from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from finetune.training.log import Log, LogRow

ROW = LogRow("main", "tune", 1, 10, 0.1, 0.5, 0.4, 0.9, None, None, 1.5)


def test_a_row_an_epoch_and_empty_cells_for_what_is_not_known(tmp_path: Path) -> None:
    told = []
    log = Log(tmp_path / "log.csv", lambda rows: told.append([row["epoch"] for row in rows]))
    log.append(ROW)
    log.append(replace(ROW, epoch=2))
    with (tmp_path / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[0]["val_balanced_accuracy"] == ""
    assert told == [["1"], ["1", "2"]]


def test_going_on_forgets_what_is_done_again(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv")
    for fit in ("fold-1", "main"):
        for epoch in (1, 2, 3):
            log.append(replace(ROW, fit=fit, epoch=epoch))
    again = Log(tmp_path / "log.csv")
    again.rewind("main", "tune", 1)
    assert [(row["fit"], row["epoch"]) for row in again.rows] == [
        ("fold-1", "1"),
        ("fold-1", "2"),
        ("fold-1", "3"),
        ("main", "1"),
    ]
