from __future__ import annotations

import pytest
import timm

from finetune.recipe.schema import GradientPhase, OptimizerOptions
from finetune.training.freeze import FreezePlan
from finetune.training.optimisers import build_optimizer, check_optimizer


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


@pytest.mark.parametrize(
    ("options", "fused"),
    [
        ({"name": "adamw"}, True),
        ({"name": "sgd"}, True),
        ({"name": "adamw", "args": {"fused": False}}, False),
        ({"name": "adamw", "args": {"foreach": True}}, None),
        ({"name": "lamb"}, None),
    ],
)
def test_the_step_is_one_kernel_where_torch_has_it(
    options: dict[str, object], fused: bool | None
) -> None:
    phase = GradientPhase.model_validate(
        {"name": "p", "train": "head", "epochs": 1, "optimizer": options}
    )
    model = timm.create_model("test_resnet")
    plan = FreezePlan.of(model, "head", "frozen")
    plan.apply(model)
    groups = build_optimizer(model, plan, phase).param_groups
    assert groups
    assert all(group.get("fused") is fused for group in groups)
