from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

import finetune
from finetune.cli.app import app
from finetune.console import Silent
from finetune.errors import RunError


def test_the_page_is_written_again(photos: Callable[..., Path], tmp_path: Path) -> None:
    tiny = ["data.workers=0", "model.backbone=test_resnet", "input.size=48"]
    run = finetune.train(
        photos({"red": 12, "blue": 12}), "linear_probe", overrides=tiny, weights="none",
        out=tmp_path / "run", reporter=Silent(),
    )  # fmt: skip
    run.directory.report.write_text("old")
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["report", str(run.path)])
    assert result.exit_code == 0
    assert result.stdout.replace("\n", "") == f"Written: {run.directory.report}"
    assert run.directory.report.read_text().startswith("<!DOCTYPE html>")


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(result.exception, RunError)
