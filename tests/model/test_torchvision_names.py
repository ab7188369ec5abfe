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
            drawn = torch.randn(value.shape, generator=generator) * (
                0.05 if value.ndim > 1 else 0.2
            )
            positive = value.ndim == 1 and name.endswith(("weight", "running_var"))
            value.copy_(drawn.abs() + 0.7 if positive else drawn)
    return model.eval()


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_torchvisions_weights_give_torchvisions_logits(
    options: Callable[..., Any], tmp_path: Path, ours: str, theirs: str
) -> None:
    reference = randomised(get_model(theirs, weights=None, num_classes=11))
    path = tmp_path / "w.safetensors"
    save_file(reference.state_dict(), path)
    loaded = load_backbone(choose_weights(options(backbone=ours), str(path), None), 11, seed=1)
    last = [m for m in reference.modules() if isinstance(m, nn.Linear)][-1]
    classifier(loaded.model).load_state_dict(last.state_dict())
    pictures = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected, got = reference(pictures), loaded.model(pictures)
    assert (expected - got).abs().max() <= 1e-3 * expected.abs().max()
    assert "11 classes replaced by 11" in loaded.report.head
    if ours in EQUIVALENTS:
        assert theirs in loaded.report.notes[0]
        imagenet = InputSpec()
        assert loaded.pretrained.input.mean == imagenet.mean


def test_a_pairing_that_computes_something_else_is_refused(
    options: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Torchvision's own v2 of a network with the same shapes and another function: ReLU6 for ReLU
    # can't be told from the file, so the names are matched with a wrong timm network instead.
    wrong = dict(EQUIVALENTS) | {"mobilenetv2_110d": "mobilenet_v2"}
    monkeypatch.setattr("finetune.model.torchvision_names.EQUIVALENTS", wrong)
    path = tmp_path / "w.safetensors"
    save_file(randomised(get_model("mobilenet_v2", weights=None)).state_dict(), path)
    choice = choose_weights(options(backbone="mobilenetv2_110d"), str(path), None)
    with pytest.raises(WeightsError, match=r"torchvision's names \(mobilenet_v2\)"):
        load_backbone(choice, 3, seed=1)
