from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from finetune.errors import WeightsError
from finetune.model.head import FeatureTap, classifier, classifier_name, set_head

Make = Callable[..., nn.Module]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("test_resnet", "fc"), ("test_vit", "head"), ("test_convnext", "head.fc")],
)
def test_the_classifier_is_found(make_model: Make, name: str, expected: str) -> None:
    model = make_model(name, 3)
    assert classifier_name(model) == expected
    assert classifier(model).out_features == 3


def test_set_head_sets_the_logits(make_model: Make) -> None:
    model = make_model("test_resnet", 2)
    layer = classifier(model)
    weight = torch.zeros(2, layer.in_features)
    set_head(model, weight, torch.tensor([1.0, -1.0]))
    logits = model(torch.randn(3, 3, 32, 32))
    assert logits.tolist() == [[1.0, -1.0]] * 3
    with pytest.raises(ValueError, match="a head of"):
        set_head(model, weight[:, 1:], torch.zeros(2))
    with pytest.raises(ValueError, match="a head of"):
        set_head(model, weight, torch.zeros(3))


@pytest.mark.parametrize(
    ("name", "size"), [("test_resnet", 32), ("test_vit", 160), ("test_convnext", 32)]
)
def test_the_tap_gives_what_the_classifier_sees(make_model: Make, name: str, size: int) -> None:
    model = make_model(name, 3)
    pictures = torch.randn(2, 3, size, size)
    with torch.no_grad(), FeatureTap(model) as tap:
        logits = model(pictures)
        rows = tap.features
    layer = classifier(model)
    assert rows.shape == (2, layer.in_features)
    assert torch.allclose(nn.functional.linear(rows, layer.weight, layer.bias), logits, atol=1e-5)


def test_the_tap_leaves_nothing_behind(make_model: Make) -> None:
    model = make_model("test_resnet", 3)
    with FeatureTap(model) as tap, pytest.raises(RuntimeError, match="no forward pass"):
        _ = tap.features
    assert not classifier(model)._forward_pre_hooks


def test_inputs_that_are_no_rows_are_refused() -> None:
    class PerPixel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def get_classifier(self) -> nn.Module:
            return self.fc

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x).mean((1, 2))

    model = PerPixel()
    with FeatureTap(model) as tap:
        model(torch.randn(1, 4, 4, 3))
        with pytest.raises(WeightsError, match="not \\[N, D\\]"):
            _ = tap.features


def test_a_classifier_without_bias_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 2, bias=False))
    model.pretrained_cfg = {"classifier": "0", "architecture": "toy"}
    with pytest.raises(WeightsError, match="toy has a classifier without a bias"):
        classifier(model)


def test_a_network_without_classifier_is_refused(make_model: Make) -> None:
    with pytest.raises(WeightsError, match=r"isn't linear|no classifier"):
        classifier(make_model("test_resnet", 0))
