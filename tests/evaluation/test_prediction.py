from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

from finetune.console import Silent
from finetune.data.input_spec import InputSpec
from finetune.data.loaders import Batch
from finetune.data.loading import Reading, eval_loader
from finetune.evaluation.prediction import predict_logits
from finetune.model.normalise import normalise

SPEC = InputSpec(size=32)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", pretrained=False, num_classes=3, drop_rate=0.5)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (10, 32, 32, 3), dtype=torch.uint8, generator=generator)


def _batches(images: torch.Tensor, order: list[int], size: int) -> list[Batch]:
    parts = [torch.tensor(order[i : i + size]) for i in range(0, len(order), size)]
    return [
        Batch(images[part], torch.full((len(part),), -1), part, ("",) * len(part)) for part in parts
    ]


def _predict(network: nn.Module, loader) -> np.ndarray:
    with Silent().task("", 0, "images") as task:
        return predict_logits(network, loader, SPEC, CPU, task)


def test_rows_stand_at_their_index(network: nn.Module, images: torch.Tensor) -> None:
    with torch.inference_mode():
        expected = network.eval()(normalise(images, SPEC, CPU)).numpy()
    found = _predict(network, _batches(images, [7, 2, 9, 0, 1, 8, 3, 5, 4, 6], 4))
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-5)


def test_modes_come_back_as_they_were(network: nn.Module, images: torch.Tensor) -> None:
    network.train()
    network.layer1.eval()
    modes = {name: module.training for name, module in network.named_modules()}
    statistics = network.bn1.running_mean.clone()
    first = _predict(network, _batches(images, list(range(10)), 5))
    assert {name: module.training for name, module in network.named_modules()} == modes
    assert torch.equal(network.bn1.running_mean, statistics)
    assert np.array_equal(first, _predict(network, _batches(images, list(range(10)), 5)))


def test_autocast_around_it_changes_nothing(network: nn.Module, images: torch.Tensor) -> None:
    batches = _batches(images, list(range(10)), 10)
    plain = _predict(network, batches)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert np.array_equal(_predict(network, batches), plain)


def test_reduced_float32_products_are_put_back(network: nn.Module, images: torch.Tensor) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        _predict(network, _batches(images, [0], 1))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_no_images_give_an_empty_table(network: nn.Module) -> None:
    assert _predict(network, []).shape == (0, 3)


def test_files_through_the_loader(network: nn.Module, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    files = [tmp_path / f"{i}.png" for i in range(5)]
    for file, picture in zip(files, pixels, strict=True):
        Image.fromarray(picture).save(file)
    loader = eval_loader(files, Reading(InputSpec(size=32, fit="squash"), 10_000), 2)
    expected = _predict(network, _batches(torch.from_numpy(pixels), list(range(5)), 5))
    assert _predict(network, loader) == pytest.approx(expected, abs=1e-5)
