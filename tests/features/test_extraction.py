from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import timm
import torch
from torch import nn

from finetune.console import Silent
from finetune.data.input_spec import InputSpec
from finetune.errors import DeviceError
from finetune.features.body import body_of
from finetune.features.extraction import features, passed
from finetune.model.normalise import normalise

CPU = torch.device("cpu")
SPEC = InputSpec(size=32)


@dataclass
class Images:
    images: torch.Tensor
    indices: torch.Tensor


@pytest.fixture
def model() -> nn.Module:
    return timm.create_model("test_resnet", pretrained=False, num_classes=3, drop_rate=0.5).train()


@pytest.fixture
def batch() -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (6, 32, 32, 3), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.arange(6))


def extract(model: nn.Module, batches: list[Images]) -> np.ndarray:
    with Silent().task("features", 6, "images") as task:
        return features(model, batches, SPEC, CPU, task)


def test_they_are_what_the_classifier_sees_in_evaluation(model: nn.Module, batch: Images) -> None:
    got = extract(model, [batch])
    model.eval()
    with torch.no_grad():
        pictures = normalise(batch.images, SPEC, CPU)
        expected = model.forward_head(model.forward_features(pictures), pre_logits=True)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_rows_stand_in_the_order_of_the_indices(model: nn.Module, batch: Images) -> None:
    order = [3, 0, 5, 1, 4, 2]
    parts = [Images(batch.images[half], batch.indices[half]) for half in (order[:2], order[2:])]
    np.testing.assert_allclose(extract(model, parts), extract(model, [batch]), atol=1e-5)


def test_the_network_is_left_as_it_was(model: nn.Module, batch: Images) -> None:
    model.layer1.eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    extract(model, [batch])
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_no_images_give_no_rows(model: nn.Module) -> None:
    assert extract(model, []).shape == (0, model.num_features)


@pytest.mark.parametrize("room", [1, 4])
def test_what_does_not_fit_the_memory_is_passed_in_parts(
    model: nn.Module, batch: Images, room: int
) -> None:
    whole = extract(model, [batch])
    sizes: list[int] = []

    def cramped(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")

    network = body_of(model, SPEC, CPU)
    network.network.register_forward_pre_hook(cramped)
    with Silent().task("features", 6, "images") as task:
        parts = [rows for rows, _ in passed(lambda: network, [batch, batch], CPU, task)]
    assert all(np.allclose(part.numpy(), whole, atol=1e-5) for part in parts)
    assert sizes.count(6) == 1  # what has not fitted once is not tried again


def test_where_not_one_image_fits_the_user_is_told(batch: Images) -> None:
    def full(_: torch.Tensor) -> torch.Tensor:
        raise MemoryError

    with Silent().task("", 6, "images") as task, pytest.raises(DeviceError, match="memory"):
        list(passed(lambda: full, [batch], CPU, task))
