from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.features.folding import folded

# How many norms stay: those that no plain convolution feeds.
NETWORKS = {
    "resnet18": 0,
    "mobilenetv3_small_050": 0,
    "regnety_002": 0,
    "efficientnet_b0": 0,
    "densenet121": 62,  # norms before convolutions, fed what was put together
    "convnext_atto": 0,
    "nfnet_l0": 0,
}


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return model.eval()


@pytest.mark.parametrize(("name", "left"), NETWORKS.items())
def test_a_folded_network_computes_the_same(name: str, left: int) -> None:
    model = network(name)
    images = torch.randn(3, 3, 64, 64)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.inference_mode():
        expected = model(images)
        faster = folded(model, images[:2])
        found = faster(images)
    assert float((found - expected).norm() / expected.norm()) < 1e-4
    assert sum(isinstance(module, _BatchNorm) for module in faster.modules()) <= left
    assert all(value.equal(state[key]) for key, value in model.state_dict().items())


class Twice(nn.Module):
    """A convolution that is called twice, each time before another norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for norm in self.norms:
            nn.init.constant_(norm.weight, 2.0)
            images = norm(self.conv(images))
        return images


def test_a_convolution_that_serves_two_norms_is_left() -> None:
    model, images = Twice().eval(), torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        faster = folded(model, images)
        assert faster(images).allclose(model(images), atol=1e-6)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in faster.modules()) == 2
