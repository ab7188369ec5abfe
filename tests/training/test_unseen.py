"""What is known out-of-fold of training images, and from which phase."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from finetune.data.manifest import Item
from finetune.evaluation.selection import PhaseChoice
from finetune.training.checkpoints import PhaseStore
from finetune.training.judging import Verdict
from finetune.training.phases import PhaseResult
from finetune.training.unseen import out_of_fold

TRAIN = [Item(f"{n}.png", "ab"[n % 2], "train") for n in range(8)]
LOGITS = np.array([[3.0, 0.0], [0.0, 3.0]] * 4, dtype=np.float32)


def phase(logits: np.ndarray | None) -> PhaseResult:
    return PhaseResult("any", PhaseStore(Path("nowhere")), {}, LOGITS, logits)


def verdict(*, on_folds: bool) -> Verdict:
    return Verdict(PhaseChoice(0, ("said",), (), (), ()), LOGITS[:4], TRAIN[4:], on_folds)


def setting(calibrate: str = "temperature") -> Any:
    return SimpleNamespace(
        recipe=SimpleNamespace(evaluate=SimpleNamespace(calibrate=calibrate)),
        labels=lambda items: np.array(["ab".index(item.label) for item in items]),
    )


def test_the_last_solved_head_knows_all_training_images() -> None:
    phases = [phase(LOGITS), phase(2 * LOGITS), phase(None)]
    found = out_of_fold(setting(), phases, verdict(on_folds=True), TRAIN)
    assert found is not None
    assert found.items == TRAIN
    assert (found.logits == 2 * LOGITS).all()
    assert found.temperature < 1  # all are right


def test_without_one_the_choice_on_folds_knows_some() -> None:
    found = out_of_fold(setting("none"), [phase(None)], verdict(on_folds=True), TRAIN)
    assert found is not None
    assert found.items == TRAIN[4:]
    assert found.temperature == 1


@pytest.mark.parametrize("judged", [None, verdict(on_folds=False)])
def test_else_nothing_is_known(judged: Verdict | None) -> None:
    assert out_of_fold(setting(), [phase(None)], judged, TRAIN) is None
