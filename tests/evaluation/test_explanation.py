"""Maps of every family: they stand where the object stands, and the network is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.errors import WeightsError
from finetune.evaluation.explanation import heat_map
from finetune.model.normalise import normalise

SIZE = 96
SPEC = InputSpec(size=SIZE)
SWIN = {
    "img_size": SIZE, "window_size": 3, "embed_dim": 16, "depths": (1, 1, 1, 1),
    "num_heads": (1, 1, 2, 2),
}  # fmt: skip
VIT = {"img_size": SIZE, "embed_dim": 32, "depth": 4, "num_heads": 2}
FAMILIES: dict[str, dict[str, object]] = {
    "test_resnet": {},
    "test_efficientnet": {},
    "test_convnext": {},
    "test_mambaout": {},
    "test_vit": {"img_size": SIZE},
    "test_vit4": {"img_size": SIZE},
    "vit_tiny_patch16_224": VIT,
    "vit_base_patch16_gap_224": VIT,
    "swin_tiny_patch4_window7_224": SWIN,
    "mobilenetv2_035": {},
    "regnetx_002": {},
    "mixer_s32_224": {"img_size": SIZE},
}


def made(name: str, classes: int = 2) -> nn.Module:
    """Without the zeros that some layers begin with."""
    torch.manual_seed(1)
    model = timm.create_model(name, num_classes=classes, **FAMILIES[name]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def pictures(count: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)


def with_square(place: tuple[int, int], seed: int = 1) -> torch.Tensor:
    """Grey noise with a bright, structured square at a place of a 3 x 3 grid."""
    image = pictures(1, seed)[0] // 8 + 100
    top, left = (SIZE // 3 * at for at in place)
    image[top : top + 32, left : left + 32] = torch.tensor([255, 20, 20], dtype=torch.uint8)
    image[top : top + 32 : 8, left : left + 32] = torch.tensor([20, 20, 255], dtype=torch.uint8)
    return image


def plain(seed: int) -> torch.Tensor:
    return pictures(1, seed)[0] // 8 + 100


@pytest.mark.parametrize("name", FAMILIES)
def test_maps_are_of_the_size_of_the_picture_and_from_0_to_1(name: str) -> None:
    maps = heat_map(made(name, classes=8), SPEC, pictures(8), np.arange(8))
    assert maps.shape == (8, SIZE, SIZE)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert set(np.round(maps.max((1, 2)), 5)) <= {0.0, 1.0}
    assert maps.any()


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "swin_tiny_patch4_window7_224"])
def test_the_network_is_left_as_it_was(name: str) -> None:
    model = made(name)
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(number % 2 == 0)
    next(iter(model.children())).train()
    modes = [module.training for module in model.modules()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.inference_mode():
        heat_map(model, SPEC, pictures(2), np.array([0, 1]))
    assert torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_parts_and_neighbours_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, classes = made(name), np.array([0, 1, 0, 1, 1])
    whole = heat_map(model, SPEC, pictures(5), classes)
    monkeypatch.setattr("finetune.evaluation.explanation._AT_ONCE", 2)
    assert heat_map(model, SPEC, pictures(5), classes) == pytest.approx(whole, abs=1e-3)
    assert heat_map(model, SPEC, pictures(0), classes[:0]).shape == (0, SIZE, SIZE)


def trained(name: str) -> nn.Module:
    """A network that knows whether there is a square anywhere."""
    torch.manual_seed(1)
    model = timm.create_model(name, num_classes=2, **FAMILIES[name]).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    generator = np.random.default_rng(1)
    for step in range(60):
        places = generator.integers(0, 3, (8, 2)).tolist()
        batch = [with_square((one, two), 100 * step + i) for i, (one, two) in enumerate(places)]
        batch += [plain(100 * step + 50 + i) for i in range(8)]
        logits = model(normalise(torch.stack(batch), SPEC, torch.device("cpu")))
        loss = nn.functional.cross_entropy(logits, torch.tensor([1] * 8 + [0] * 8))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step > 20 and loss < 0.02:
            break
    assert loss < 0.2
    return model.eval()


def share_inside(heat: np.ndarray, place: tuple[int, int], around: int = 16) -> float:
    """Of all heat, what lies on the square and a margin around it."""
    top, left = (max(SIZE // 3 * at - around, 0) for at in place)
    side = 32 + 2 * around
    return float(heat[top : top + side, left : left + side].sum() / heat.sum())


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
def test_the_heat_moves_with_the_object(name: str) -> None:
    model = trained(name)
    corners = [(0, 0), (0, 2), (2, 0), (2, 2)]
    images = torch.stack([with_square(place, 9_000) for place in corners])
    maps = heat_map(model, SPEC, images, np.ones(4, dtype=np.int64))
    for heat, place in zip(maps, corners, strict=True):
        own = share_inside(heat, place)
        assert own > max(share_inside(heat, other) for other in corners if other != place), own


def test_a_network_whose_stages_are_not_known_is_told() -> None:
    model = made("test_resnet")
    model.feature_info = []
    with pytest.raises(WeightsError, match="is not known, so that no heat map"):
        heat_map(model, SPEC, pictures(1), np.array([0]))


def test_a_plane_that_alone_speaks_for_a_class_is_its_map() -> None:
    model, caught = made("test_resnet"), []
    hook = model.layer4.register_forward_hook(lambda *given: caught.append(given[2].detach()))
    heat_map(model, SPEC, pictures(1), np.array([1]))
    hook.remove()
    best = int(caught[0].amax((0, 2, 3)).argmax())
    with torch.no_grad():
        model.fc.weight.zero_()
        model.fc.weight[1, best] = 1
    heat = heat_map(model, SPEC, pictures(1), np.array([1]))[0]
    plane = nn.functional.interpolate(
        caught[0][:, [best]].relu(), size=(SIZE, SIZE), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    assert heat == pytest.approx(plane / plane.max(), abs=1e-4)
    with torch.no_grad():
        model.fc.weight.neg_()  # now nothing speaks for it
    assert not heat_map(model, SPEC, pictures(1), np.array([1])).any()
