"""A run directory that is complete, written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory

SCORE = {"value": 0.9, "low": 0.8, "high": 0.95}
ROWS = [
    {"fit": fit, "phase": phase, "epoch": epoch, "lr": "0.1", "train_loss": loss, "val_loss": ""}
    for fit, phase, epoch, loss in (
        ("fold-1", "tune", "1", "0.7"),
        ("main", "tune", "1", "0.6"),
        ("main", "tune", "2", "0.5"),
        ("main", "all", "1", "0.4"),
    )
]


@pytest.fixture
def recipe() -> Recipe:
    phases = [
        {"name": "tune", "train": "head", "epochs": 2},
        {"name": "all", "train": "all", "epochs": 3},
    ]
    return Recipe.model_validate({"name": "own", "phases": phases})


@pytest.fixture
def rows() -> list[dict[str, str]]:
    return ROWS


@pytest.fixture
def complete(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "photos-own-1")
    packages = {"torch": "2.15.0", "h5py": None}
    environment = {"python": "3.11", "packages": packages, "data": {"given": "/secret/photos"}}
    run.write_json(run.environment, environment)
    run.write_json(run.phases, {"kept": "all"})
    metrics = {"split": "test", "n": 40, "accuracy": SCORE, "ece": SCORE | {"low": None}}
    per_class = {"red": {"f1": SCORE}}
    majority = {"baseline": {"majority": SCORE}}
    run.write_json(run.metrics, metrics | majority | {"classes": ["red"], "per_class": per_class})
    for path in (run.log, run.model / "config.json", run.images / "1.jpg", run.report):
        run.write_text(path, "x")
    for other in ("checkpoints/main/0-tune/phase.json", "notes.txt", ".lock", "images/.1.part"):
        run.write_text(run.path / other, "x")
    return run
