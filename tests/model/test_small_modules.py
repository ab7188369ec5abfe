from __future__ import annotations

import pytest
import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.model.device import pick_device
from finetune.model.modes import evaluating
from finetune.model.normalise import normalise
from finetune.model.precision import native_bfloat16

CPU = torch.device("cpu")


def test_normalise_is_the_textbook_formula() -> None:
    images = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8)
    kept = images.clone()
    spec = InputSpec(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    got = normalise(images, spec, CPU)
    pixels = images.permute(0, 3, 1, 2).double() / 255
    mean = torch.tensor(spec.mean, dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor(spec.std, dtype=torch.float64).view(3, 1, 1)
    assert got.dtype == torch.float32
    assert torch.allclose(got.double(), (pixels - mean) / std, atol=1e-6)
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, kept)


@pytest.mark.parametrize("fails", [False, True])
def test_modes_come_back_as_they_were(fails: bool) -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())).train()
    model[1][0].eval()
    before = [module.training for module in model.modules()]
    try:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert [module.training for module in model.modules()] == before


def test_the_device_picked_can_compute() -> None:
    assert (torch.ones(2, device=pick_device()) * 2).sum().item() == 4


def test_bfloat16_on_the_cpu_follows_its_instructions() -> None:
    with_it = {"avx512_bf16": True, "amx_bf16": False}
    without = {"avx512_bf16": False, "avx512_f": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: with_it, raising=False)
        assert native_bfloat16(CPU)
        patch.setattr(torch.cpu, "get_capabilities", lambda: without, raising=False)
        assert not native_bfloat16(CPU)


def test_apples_gpu_has_no_native_bfloat16() -> None:
    assert not native_bfloat16(torch.device("mps"))
