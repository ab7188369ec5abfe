from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import finetune
from finetune.console import Silent
from finetune.experiments.result import CrossValidation

TINY = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]
QUICK = ["evaluate.bootstrap=100"]


@pytest.fixture
def cross_validate() -> Callable[..., CrossValidation]:
    """`finetune.cv` of a tiny network without weights."""

    def run(data: Path, out: Path, recipe: str = "linear_probe", *more: str, **options):
        return finetune.cv(
            data,
            recipe,
            overrides=[*TINY, *QUICK, *more],
            weights="none",
            out=out,
            reporter=Silent(),
            **options,
        )

    return run
