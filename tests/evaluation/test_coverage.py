"""That 95 % intervals hold the truth in 95 of 100 samples, by the benchmark's own simulation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
SAMPLES = 300
SLACK = 3 * (0.92 * 0.08 / SAMPLES) ** 0.5
"""Three standard errors: what a coverage of 0.92 may be counted as."""


@pytest.fixture(scope="module")
def coverage() -> Iterator[ModuleType]:
    spec = spec_from_file_location("coverage_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


def test_wilsons_interval_exactly(coverage: ModuleType) -> None:
    accuracies = np.round(np.arange(0.60, 0.9801, 0.01), 2)
    held = [coverage.wilson_coverage(n, a) for n in (50, 150, 1000) for a in accuracies]
    assert min(held) >= 0.92
    assert 0.94 <= np.mean(held) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(25, 25), (10,) * 5, (10, 140), (30,) * 5])
@pytest.mark.parametrize("accuracy", [0.8, 0.95, 0.98])
def test_every_interval_holds_the_truth(
    coverage: ModuleType, sizes: tuple[int, ...], accuracy: float
) -> None:
    point = coverage.Point(sizes, accuracy)
    if not point.possible:
        pytest.skip("no classifier is so bad")
    found = coverage.cover((point, SAMPLES))
    short = {name: held for name, held in found.held.items() if held < 0.92 - SLACK}
    assert not short
    assert "macro_f1" not in found.unsure


@pytest.mark.slow
def test_small_classes_are_flagged(coverage: ModuleType) -> None:
    found = coverage.cover((coverage.Point((5, 45), 0.95), 20))
    assert {"macro_f1", "balanced_accuracy", "roc_auc", "class_scores"} <= found.unsure


@pytest.mark.slow
@pytest.mark.parametrize("groups", [10, 20, 50])
@pytest.mark.parametrize("rho", [0, 0.3, 0.6, 1])
def test_shares_of_images_in_groups_hold_the_truth(
    coverage: ModuleType, groups: int, rho: float
) -> None:
    held = [coverage.grouped_coverage(groups, 8, a, rho, 1000) for a in (0.6, 0.8, 0.9, 0.95, 0.98)]
    assert min(held) >= 0.90
    assert np.mean(held) >= 0.94
