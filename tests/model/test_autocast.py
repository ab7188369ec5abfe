"""bfloat16 where it is fast, and float32 where that is faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from finetune.model.autocast import bfloat16_where_fast

CPU = torch.device("cpu")
AHEAD, BACK = torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default


class Watch(TorchDispatchMode):
    """Notes in which number formats convolutions are computed, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.formats: list[tuple[torch.Size, torch.dtype]] = []

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in (AHEAD, BACK):
            weight = args[1] if func is AHEAD else args[2]
            self.formats.append((weight.shape, args[0].dtype))
        return func(*args, **(kwargs or {}))


def formats(network: nn.Module, images: torch.Tensor) -> list[tuple[torch.Size, torch.dtype]]:
    watch = Watch()
    with watch:
        with bfloat16_where_fast(CPU):
            logits = network(images)
        logits.float().sum().backward()
    return watch.formats


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "wide"),
    [(3, 1, 8, False), (3, 2, 8, True), (5, 1, 8, True), (7, 1, 8, True), ((1, 7), 1, 8, True),
     (3, (1, 2), 8, True), (3, 2, 1, False), (7, 2, 4, False), (1, 1, 1, False)],
)  # fmt: skip
def test_depthwise_convolutions_are_wide_where_that_is_faster(
    kernel: Any, stride: Any, groups: int, wide: bool
) -> None:
    layer = nn.Conv2d(8, 8, kernel, stride, groups=groups)
    images = torch.randn(2, 8, 16, 16, requires_grad=True)
    found = formats(layer, images)
    assert [each for _, each in found] == [torch.float32 if wide else torch.bfloat16] * 2
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == images.grad.dtype == torch.float32  # type: ignore[union-attr]


def test_what_is_wide_is_exact_up_to_its_result() -> None:
    layer, images = nn.Conv2d(8, 16, 5, 2, 2, groups=8), torch.randn(2, 8, 16, 16)
    with bfloat16_where_fast(CPU):
        found = layer(images)
    assert found.dtype == torch.bfloat16
    assert found.equal(layer(images).to(torch.bfloat16))


def test_what_is_not_cast_is_left_as_it_is() -> None:
    layer, images = nn.Conv2d(8, 8, 5, groups=8), torch.randn(2, 8, 16, 16)
    with bfloat16_where_fast(CPU):
        with torch.autocast("cpu", enabled=False):
            assert layer(images).dtype == torch.float32
        assert layer.double()(images.double()).dtype == torch.float64


def test_all_else_is_as_autocast_has_it() -> None:
    torch.manual_seed(0)
    network, images = timm.create_model("test_resnet").eval(), torch.randn(2, 3, 64, 64)
    with bfloat16_where_fast(CPU):
        found = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert found.equal(network(images))


@pytest.mark.parametrize("name", ["test_efficientnet", "test_convnext", "tf_efficientnet_b0"])
def test_networks_of_timm(name: str) -> None:
    """Whatever class their convolutions are of, those that pad by themselves too."""
    network = timm.create_model(name)
    found = formats(network, torch.randn(2, 3, 64, 64))
    slow = {
        layer.weight.shape
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
        and layer.groups == layer.in_channels > 1
        and max(*layer.stride, *layer.kernel_size) > (1 if layer.stride != (1, 1) else 3)
    }
    wide = {shape for shape, each in found if each == torch.float32}
    assert slow
    assert wide == slow
