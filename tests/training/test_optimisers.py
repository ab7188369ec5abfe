from __future__ import annotations

import pytest

from finetune.recipe.schema import OptimizerOptions
from finetune.training.optimisers import check_optimizer


def faults(**options: object) -> list[str]:
    return check_optimizer(OptimizerOptions.model_validate(options), "optimizer")


@pytest.mark.parametrize("name", ["adamw", "sgd", "lamb", "adafactor", "lion", "AdamW"])
def test_timm_optimisers_are_known(name: str) -> None:
    assert faults(name=name) == []


def test_an_unknown_optimiser_is_told_with_the_nearest() -> None:
    (fault,) = faults(name="adamww")
    assert "adamw" in fault


def test_a_wrong_argument_is_told() -> None:
    (fault,) = faults(name="adamw", args={"betaz": [0.9, 0.99]})
    assert "betaz" in fault
    assert faults(name="adamw", args={"betas": [0.9, 0.99]}) == []


def test_momentum_is_for_those_that_have_it() -> None:
    assert faults(name="sgd", momentum=0.8, nesterov=True) == []
    assert len(faults(name="adamw", momentum=0.8)) == 1
    assert len(faults(name="adamw", nesterov=True)) == 1
