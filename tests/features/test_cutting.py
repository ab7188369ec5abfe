"""Networks cut in two compute what they did whole, and stay the same networks."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from finetune.features.cutting import Uncuttable, cut, cut_at_features
from finetune.model.head import classifier
from finetune.model.stages import stages_of
from finetune.training.freeze import FreezePlan

# Families by a small member each, and the side of the images that it is tried with.
FAST = {
    "convnext_atto": 64,
    "ghostnet_050": 64,
    "mobilenetv2_035": 64,
    "mobilenetv3_small_050": 64,
    "mobilenetv4_conv_small_035": 64,
    "regnety_002": 64,
    "resnet18": 64,
    "seresnet18": 64,
    "test_vit": 160,
}
SLOW = {
    "deit_tiny_patch16_224": 224,
    "densenet121": 64,
    "edgenext_xx_small": 64,
    "efficientnet_b0": 64,
    "mixer_s32_224": 224,
    "poolformer_s12": 64,
    "repvgg_a0": 64,
    "resnext50_32x4d": 64,
    "swin_tiny_patch4_window7_224": 224,
    "tf_efficientnetv2_b0": 64,
}
FAMILIES = [*FAST.items(), *(pytest.param(*s, marks=pytest.mark.slow) for s in SLOW.items())]
WITHOUT_DROP_PATH = {"densenet121", "ghostnet_050", "hrnet_w18_small"}


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    more = {} if name in WITHOUT_DROP_PATH else {"drop_path_rate": 0.2}
    model = timm.create_model(name, num_classes=5, drop_rate=0.3, **more)
    for module in model.modules():  # as after some training, not as after a fresh start
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return model


@pytest.mark.parametrize(("name", "size"), FAMILIES)
def test_both_halves_are_the_network_at_every_stage(name: str, size: int) -> None:
    model = network(name)
    images = torch.randn(2, 3, size, size)
    for stage in stages_of(model)[1:]:
        halves = cut(model, stage.name, size)
        FreezePlan.of(model, stage.name, "frozen").apply(model)
        with torch.no_grad():
            torch.manual_seed(1)
            whole = model(images)
            torch.manual_seed(1)  # dropout and drop-path: the suffix draws what the network did
            crossing = halves.prefix(images)
            assert torch.allclose(halves.suffix(crossing), whole, rtol=1e-4, atol=1e-5), stage.name
            assert tuple(crossing.shape) == (2, *halves.shape)
            model.eval()
            same = torch.allclose(halves.suffix(crossing), model(images), rtol=1e-4, atol=1e-5)
            assert same, stage.name


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "convnext_atto", "mobilenetv2_035"])
def test_training_the_suffix_trains_the_network(name: str) -> None:
    model = network(name)
    size = 160 if name == "test_vit" else 64
    last = stages_of(model)[-2].name
    halves = cut(model, last, size)
    plan = FreezePlan.of(model, last, "frozen")
    plan.apply(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        crossing = halves.prefix(torch.randn(4, 3, size, size))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    nn.functional.cross_entropy(halves.suffix(crossing), torch.tensor([0, 1, 2, 3])).backward()
    optimizer.step()
    frozen = {name for name, _ in plan.frozen_tensors(model)}
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert moved
    assert not moved & frozen
    own = {id(parameter) for parameter in model.parameters()}
    assert all(id(parameter) in own for parameter in halves.suffix.parameters())


def test_modes_are_the_networks_own() -> None:
    model = network("resnet18")
    halves = cut(model, "head", 64)
    features = torch.randn(3, 512)
    model.eval()
    calm = [halves.suffix(features) for _ in range(2)]
    assert calm[0].equal(calm[1])
    model.train()
    wild = [halves.suffix(features) for _ in range(2)]
    assert not wild[0].equal(wild[1])  # the dropout that ResNet calls as a function


def test_cutting_changes_nothing() -> None:
    model = network("mobilenetv2_035").train()
    model.blocks[2].eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    cut(model, "blocks.4", 64)
    assert [module.training for module in model.modules()] == modes
    assert list(model.state_dict()) == list(state)
    assert all(value.equal(state[name]) for name, value in model.state_dict().items())


def test_what_cannot_be_cut_is_told_and_has_its_features_left() -> None:
    many = network("hrnet_w18_small")
    with pytest.raises(Uncuttable, match="would cross, not one tensor"):
        cut(many, "stage4", 64)
    untraced = network("twins_svt_small")
    with pytest.raises(Uncuttable, match="can't be traced"):
        cut(untraced, "head", 64)
    with pytest.raises(Uncuttable, match="before the first"):
        cut(untraced, stages_of(untraced)[0].name, 64)
    halves = cut_at_features(untraced, 64)
    untraced.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = halves.prefix(images)
        assert features.shape == (2, classifier(untraced).in_features)
        assert torch.allclose(halves.suffix(features), untraced(images), atol=1e-5)
