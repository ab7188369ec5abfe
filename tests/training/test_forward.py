"""Training behind a fast frozen part is training the whole network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

import finetune
from finetune.console import Silent
from finetune.data.input_spec import InputSpec
from finetune.features.body import FLOAT32
from finetune.features.cutting import Uncuttable
from finetune.recipe.schema import Recipe
from finetune.training import forward as forwards
from finetune.training.forward import forward_of
from finetune.training.freeze import FreezePlan

SPEC = InputSpec(size=64)
CPU = torch.device("cpu")
IMAGES = torch.randint(
    0, 256, (4, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def planned(train: str, batch_norm: str = "frozen") -> tuple[nn.Module, FreezePlan]:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3, drop_rate=0.4)
    plan = FreezePlan.of(model, train, batch_norm)
    plan.apply(model)
    return model, plan


@pytest.mark.parametrize("train", ["head", "last_1", "layer2"])
@pytest.mark.parametrize("batch_norm", ["train", "frozen"])
def test_gradients_are_those_of_the_whole_network(train: str, batch_norm: str) -> None:
    gradients = []
    for way in (forward_of, lambda model, plan, *rest: forwards._whole(model, *rest[:2])):
        model, plan = planned(train, batch_norm)
        forward = way(model, plan, SPEC, CPU, FLOAT32)
        torch.manual_seed(1)
        nn.functional.cross_entropy(forward(IMAGES), torch.tensor([0, 1, 2, 0])).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    ours, whole = gradients
    assert ours.keys() == whole.keys()
    assert ours
    for name, gradient in whole.items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-5), name


def test_frozen_stages_keep_nothing_for_the_backward_pass() -> None:
    model, plan = planned("last_1")
    forward = forward_of(model, plan, SPEC, CPU, FLOAT32)
    passed: list[str] = []
    for name in ("layer1", "layer4"):
        module = model.get_submodule(name)
        module.register_forward_hook(lambda *_, name=name: passed.append(name))
    forward(IMAGES).sum().backward()
    assert passed == ["layer4"]  # the frozen stages were a copy's


def test_a_network_that_cannot_be_cut_is_passed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Uncuttable("for a test")

    monkeypatch.setattr(forwards, "halves_of", refuse)
    model, plan = planned("last_1")
    model.eval()
    images = forwards.normalise(IMAGES, SPEC, CPU)
    assert forward_of(model, plan, SPEC, CPU, FLOAT32)(IMAGES).equal(model(images))


def test_a_run_ends_with_the_same_weights_either_way(
    photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photos({"red": 16, "green": 16})
    phase = {"name": "top", "train": "last_2", "epochs": 2, "batch_size": 8}
    recipe = Recipe.model_validate({"name": "own", "phases": [phase]})

    def train(name: str) -> dict[str, torch.Tensor]:
        run = finetune.train(
            data,
            recipe,
            overrides=["model.backbone=test_resnet", "input.size=32", "precision=float32"],
            weights="none",
            out=tmp_path / name,
            reporter=Silent(),
        )
        return load_file(run.path / "model" / "model.safetensors")

    ours = train("ours")
    monkeypatch.setattr(
        "finetune.training.stepping.forward_of",
        lambda model, plan, spec, device, _: forwards._whole(model, spec, device),
    )
    whole = train("whole")
    for name, value in whole.items():
        assert torch.allclose(ours[name].float(), value.float(), atol=2e-3), name
