"""Real photographs and real weights: the scores that the defaults owe."""

from __future__ import annotations

from pathlib import Path

import pytest

import finetune
from finetune.console import Silent

pytestmark = pytest.mark.real


def accuracy(shared: Path, data: str, recipe: str, out: Path) -> float:
    (weights,) = (shared / "weights").glob("*.safetensors")
    run = finetune.train(
        shared / "datasets" / data, recipe, weights=weights, out=out, reporter=Silent()
    )
    return float(run.metrics["accuracy"]["value"])


@pytest.mark.parametrize(("data", "floor"), [("hymenoptera", 0.96), ("dtd10", 0.83)])
def test_a_linear_probe_is_as_good_as_it_was(
    shared: Path, tmp_path: Path, data: str, floor: float
) -> None:
    assert accuracy(shared, data, "linear_probe", tmp_path / "run") >= floor


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "floor"), [("hymenoptera", 0.96), ("dtd10", 0.83), ("clothing", 0.90)]
)
def test_the_default_recipe_is_as_good_as_it_was(
    shared: Path, tmp_path: Path, data: str, floor: float
) -> None:
    assert accuracy(shared, data, "lp_ft", tmp_path / "run") >= floor
