from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model

from finetune.data.input_spec import InputSpec
from finetune.errors import WeightsError
from finetune.model.backbone import load_backbone
from finetune.model.head import classifier
from finetune.model.torchvision_names import EQUIVALENTS
from finetune.model.weights import choose_weights

FAST = {"mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_b0"}
# Networks whose names timm shares or converts by itself.
BY_TIMM = {
    "densenet121": "densenet121",
    "regnety_004": "regnet_y_400mf",
    "resnet18": "resnet18",
    "vgg11_bn": "vgg11_bn",
}
PAIRS = [
    pytest.param(
        ours, theirs, id=ours, marks=() if ours in FAST | {"regnety_004"} else pytest.mark.slow
    )
    for ours, theirs in (EQUIVALENTS | BY_TIMM).items()
]


def randomised(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            fan_in = value[0].numel() if value.ndim > 1 and "layer_scale" not in name else 25
            drawn = torch.randn(value.shape, generator=generator) / fan_in**0.5
            positive = value.ndim == 1 and name.endswith(("weight", "running_var"))
            value.copy_(drawn.abs() + 0.9 if positive else drawn)
    return model.eval()


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_torchvisions_weights_give_torchvisions_logits(
    options: Callable[..., Any], tmp_path: Path, ours: str, theirs: str
) -> None:
    reference = randomised(get_model(theirs, weights=None, num_classes=11))
    path = tmp_path / "w.safetensors"
    save_file(reference.state_dict(), path)
    state = torch.get_rng_state()
    loaded = load_backbone(choose_weights(options(backbone=ours), str(path), None), 11, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    last = [m for m in reference.modules() if isinstance(m, nn.Linear)][-1]
    classifier(loaded.model).load_state_dict(last.state_dict())
    size = 224 if ours.startswith(("vit", "swin")) else 64
    pictures = nn.functional.interpolate(torch.randn(2, 3, 8, 8), size=size).double()
    with torch.no_grad():
        expected, got = reference.double()(pictures), loaded.model.double()(pictures)
    spread = (expected[0] - expected[1]).abs().max()
    assert (expected - got).abs().max() < 1e-6 * spread
    assert "11 classes replaced by 11" in loaded.report.head
    if ours in EQUIVALENTS:
        assert theirs in loaded.report.notes[0]
        imagenet = InputSpec()
        assert loaded.pretrained.input.mean == imagenet.mean


def test_a_pairing_that_computes_something_else_is_refused(
    options: Callable[..., Any], tmp_path: Path
) -> None:
    # Tensors of the same shapes, but TensorFlow's padding: only the logits tell.
    metadata = {"architecture": "mobilenetv2_100", "create_model_kwargs": '{"pad_type": "same"}'}
    path = tmp_path / "w.safetensors"
    save_file(randomised(get_model("mobilenet_v2", weights=None)).state_dict(), path, metadata)
    choice = choose_weights(options(), str(path), None)
    with pytest.raises(WeightsError, match=r"torchvision's names \(mobilenet_v2\)"):
        load_backbone(choice, 3, seed=1)
