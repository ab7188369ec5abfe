"""The backbone is pulled to its pretrained weights, and the head to zero."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.data.loaders import Batch
from finetune.model.normalise import normalise
from finetune.recipe.schema import GradientPhase
from finetune.training.anchoring import Anchor
from finetune.training.criterion import Criterion
from finetune.training.freeze import FreezePlan
from finetune.training.optimisers import build_optimizer
from finetune.training.passage import Forward
from finetune.training.stepping import Stepper
from finetune.training.trainee import Trainee

SPEC = InputSpec(size=32)
CPU = torch.device("cpu")
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.0}


def phase_of(**options: object) -> GradientPhase:
    return GradientPhase.model_validate(
        {"name": "tune", "train": "layer3", "epochs": 1, "optimizer": SGD} | options
    )


def networks(phase: GradientPhase) -> tuple[nn.Module, nn.Module, FreezePlan]:
    torch.manual_seed(0)
    pristine = timm.create_model("test_resnet", num_classes=3)
    model = copy.deepcopy(pristine)
    plan = FreezePlan.of(model, phase.train, phase.batch_norm)
    plan.apply(model)
    return pristine, model, plan


def stepper_of(phase: GradientPhase) -> tuple[nn.Module, nn.Module, Stepper]:
    pristine, model, plan = networks(phase)
    forward = Forward(lambda images: normalise(images, SPEC, CPU), model)
    anchor = Anchor.of(pristine, model, plan, phase)
    criterion = Criterion.of(phase, np.ones(3), CPU)
    trainee = Trainee(model, plan, phase, 0)
    return pristine, model, Stepper(
        trainee, forward, criterion, CPU, "float32", lambda _: 1.0, "", print, anchor
    )  # fmt: skip


def steps(stepper: Stepper, count: int) -> None:
    images = torch.randint(0, 256, (6, 32, 32, 3), dtype=torch.uint8)
    batch = Batch(images, torch.arange(6) % 3, torch.arange(6), ("",) * 6)
    for number in range(count):
        stepper.add(batch, 6, number)
        stepper.step(number)


SHAPES = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None)
@given(SHAPES, st.floats(1e-4, 10.0), st.integers(0, 1000))
def test_the_pull_is_the_gradient_of_the_penalty(
    shapes: list[list[int]], strength: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    start = [torch.randn(shape, generator=generator) for shape in shapes]
    slopes = [torch.randn(shape, generator=generator) for shape in shapes]
    pairs = zip(weights, start, slopes, strict=True)
    loss = sum((s * w).sum() + strength / 2 * (w - a).square().sum() for w, a, s in pairs)
    expected = torch.autograd.grad(loss, weights)
    for weight, slope in zip(weights, slopes, strict=True):
        weight.grad = slope.clone()
    Anchor(weights, start, strength).pull()
    for weight, gradient in zip(weights, expected, strict=True):
        assert weight.grad is not None
        assert torch.allclose(weight.grad, gradient, rtol=1e-4, atol=1e-5)


def test_a_weight_without_a_gradient_is_left_alone() -> None:
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))]
    weights[0].grad = torch.zeros(2)
    Anchor(weights, [torch.zeros(2)] * 2, 0.5).pull()
    assert weights[0].grad.tolist() == [0.5, 0.5]
    assert weights[1].grad is None
    Anchor(weights[1:], [torch.zeros(2)], 0.5).pull()


@pytest.mark.parametrize("batch_norm", ["train", "frozen", "locked"])
def test_all_of_the_backbone_that_learns_is_held_and_the_head_is_not(batch_norm: str) -> None:
    phase = phase_of(l2_sp=0.5, batch_norm=batch_norm)
    pristine, model, plan = networks(phase)
    anchor = Anchor.of(pristine, model, plan, phase)
    assert anchor is not None
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for parameter in learning.values():
        parameter.grad = torch.zeros_like(parameter)
        with torch.no_grad():
            parameter += 1.0
    anchor.pull()
    for name, parameter in learning.items():
        expected = 0.0 if name.startswith("fc.") else 0.5
        assert torch.allclose(parameter.grad, torch.full_like(parameter, expected)), name
    assert any(name.startswith("fc.") for name in learning)
    assert any(".bn" in name for name in learning) == (batch_norm != "locked")


def test_nothing_is_held_where_nothing_is_asked_for() -> None:
    phase = phase_of()
    assert Anchor.of(*networks(phase), phase) is None


@pytest.mark.parametrize("l2_sp", [0.0, 0.01])
def test_weight_decay_is_the_heads_alone(l2_sp: float) -> None:
    phase = phase_of(l2_sp=l2_sp)
    _, model, plan = networks(phase)
    decayed = {
        id(parameter)
        for group in build_optimizer(model, plan, phase).param_groups
        if group["weight_decay"] > 0
        for parameter in group["params"]
    }
    names = {name.split(".")[0] for name, p in model.named_parameters() if id(p) in decayed}
    assert names == ({"fc"} if l2_sp else {"layer3", "layer4", "fc"})


def far(pristine: nn.Module, model: nn.Module) -> dict[str, float]:
    """How far each trained tensor has moved."""
    return {
        name: float((parameter.detach() - pristine.get_parameter(name).detach()).norm())
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def test_a_strong_pull_keeps_the_backbone_where_it_was() -> None:
    free, held = ({}, {})
    for moved, options in ((free, {}), (held, {"l2_sp": 10.0})):
        pristine, model, stepper = stepper_of(phase_of(clip_norm=None, **options))
        steps(stepper, 30)
        moved.update(far(pristine, model))
    for name, distance in free.items():
        if name.startswith("fc."):
            assert held[name] > 0.5 * distance
        else:
            assert held[name] <= 0.2 * distance, name


def test_the_pull_is_part_of_the_gradient_that_is_clipped() -> None:
    _, model, stepper = stepper_of(phase_of(l2_sp=10.0, clip_norm=0.5))
    with torch.no_grad():
        model.layer4[0].conv1.weight.add_(1.0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    steps(stepper, 1)
    moved = [(p.detach() - before[name]).norm() for name, p in model.named_parameters()]
    assert float(torch.stack(moved).norm()) == pytest.approx(0.05 * 0.5, rel=0.05)


def test_a_phase_of_the_head_alone_has_nothing_to_hold() -> None:
    with pytest.raises(ValueError, match="l2_sp: holds the backbone"):
        phase_of(train="head", l2_sp=0.01)
