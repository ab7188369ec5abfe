from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import timm
import torch
from torch import nn

from finetune.errors import RecipeError, WeightsError
from finetune.model.head import classifier
from finetune.model.levels import Levels, levels_of
from finetune.model.stages import Stage, stages_of, trained

FAST = {
    "convnext_atto": 32,
    "edgenext_xx_small": 64,
    "efficientvit_b0": 64,
    "ghostnet_050": 64,
    "mixer_s32_224": 224,
    "mobilenetv2_035": 64,
    "mobilenetv3_small_050": 64,
    "pvt_v2_b0": 64,
    "regnetx_002": 64,
    "repvgg_a0": 64,
    "resnet10t": 64,
    "test_byobnet": 64,
    "test_convnext": 64,
    "test_efficientnet": 64,
    "test_mambaout": 64,
    "test_nfnet": 64,
    "test_resnet": 64,
    "test_vit": 160,
    "xcit_nano_12_p16_224": 64,
}
SLOW = {
    "beit_base_patch16_224": 224,
    "cait_xxs24_224": 224,
    "densenet121": 64,
    "hiera_tiny_224": 224,
    "inception_v3": 128,
    "legacy_xception": 96,
    "mvitv2_tiny": 224,
    "nasnetalarge": 96,
    "rexnet_100": 64,
    "seresnext26d_32x4d": 64,
    "swin_tiny_patch4_window7_224": 224,
    "twins_svt_small": 224,
    "vit_tiny_patch16_224": 224,
    "xception41": 96,
}
FAMILIES = [
    *(pytest.param(name, size, id=name) for name, size in FAST.items()),
    *(pytest.param(name, size, id=name, marks=pytest.mark.slow) for name, size in SLOW.items()),
]


def build(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(name, pretrained=False, num_classes=3).eval()
        nn.init.normal_(classifier(model).weight)
    return model


def outputs(model: nn.Module, stages: Sequence[Stage], size: int) -> dict[str, torch.Tensor]:
    """What comes out of each stage whose end is known."""
    caught: dict[str, torch.Tensor] = {}
    hooks = [
        model.get_submodule(stage.output).register_forward_hook(
            lambda _, __, out, name=stage.name: caught.update({name: _tensor(out).clone()})
        )
        for stage in stages
        if stage.output
    ]
    pictures = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model(pictures)
    for hook in hooks:
        hook.remove()
    return caught


def _tensor(out: object) -> torch.Tensor:
    return out if isinstance(out, torch.Tensor) else out[0]  # type: ignore[index]


@pytest.mark.parametrize(("name", "size"), FAMILIES)
def test_stages_part_a_network_and_stand_in_its_order(name: str, size: int) -> None:
    model = build(name)
    stages = stages_of(model)
    check_partition(model, stages)
    before = outputs(model, stages, size)
    # Seeded: some shifts leave no activation above zero, and then nothing reaches the head.
    generator = torch.Generator().manual_seed(0)
    for position, stage in enumerate(stages):
        kept = {n: model.get_parameter(n).detach().clone() for n in stage.parameters}
        with torch.no_grad():
            for n in kept:
                model.get_parameter(n).add_(
                    0.1 + 0.3 * torch.rand(kept[n].shape, generator=generator)
                )
        after = outputs(model, stages, size)
        moved = [s.name for s in stages[:position] if s.name in before
                 and not torch.equal(before[s.name], after[s.name])]  # fmt: skip
        assert moved == [], f"{stage.name} acts on {moved}"
        assert not torch.equal(before["head"], after["head"])
        with torch.no_grad():
            for n, value in kept.items():
                model.get_parameter(n).copy_(value)


def check_partition(model: nn.Module, stages: Sequence[Stage]) -> None:
    assert len(stages) > 2
    assert len({stage.name for stage in stages}) == len(stages)
    assert sorted(n for s in stages for n in s.parameters) == sorted(dict(model.named_parameters()))
    assert sorted(n for s in stages for n in s.buffers) == sorted(dict(model.named_buffers()))
    assert all(stage.parameters for stage in stages)
    owner = {name: stage.name for stage in stages for name in stage.modules}
    assert sum(len(stage.modules) for stage in stages) == len(owner)
    for stage in stages:
        for name in stage.modules:
            inner = [f"{name}.{n}" for n, _ in model.get_submodule(name).named_modules() if n]
            assert {owner[n] for n in inner} <= {stage.name}
    leaves = [n for n, m in model.named_modules() if n and not list(m.children())]
    assert set(leaves) <= set(owner)
    head = model.pretrained_cfg["classifier"]
    assert stages[-1].name == "head"
    assert set(stages[-1].parameters) == {f"{head}.weight", f"{head}.bias"}


NAMES = {
    "test_resnet": ["stem", "layer1", "layer2", "layer3", "layer4", "head"],
    "mobilenetv2_035": ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.6", "head"],
    "test_convnext": ["stages.0", "stages.1", "stages.2", "stages.3", "head"],
    "regnetx_002": ["stem", "s1", "s2", "s3", "s4", "head"],
    "xcit_nano_12_p16_224": ["blocks.0", "blocks.3", "blocks.6", "blocks.9", "head"],
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    assert [stage.name for stage in stages_of(build(name))] == NAMES[name]


def test_what_lies_outside_levels_goes_to_its_neighbour() -> None:
    vit = {name: s.name for s in stages_of(build("test_vit")) for name in s.parameters}
    assert {vit["pos_embed"], vit["patch_embed.proj.weight"]} == {"blocks.0"}
    assert vit["norm.weight"] == "blocks.4"
    mobile = {name: s.name for s in stages_of(build("mobilenetv2_035")) for name in s.parameters}
    assert mobile["conv_stem.weight"] == "blocks.0"
    assert mobile["blocks.3.0.conv_pw.weight"] == "blocks.4"
    assert mobile["conv_head.weight"] == mobile["bn2.bias"] == "blocks.6"


def test_dropout_before_the_classifier_goes_with_the_head() -> None:
    assert "head_drop" in stages_of(build("test_vit"))[-1].modules
    assert "head.drop" in stages_of(build("test_convnext"))[-1].modules


def test_without_feature_info_the_layer_groups_are_taken() -> None:
    model = build("test_convnext")
    model.feature_info = []
    stages = stages_of(model)
    check_partition(model, stages)
    assert [stage.name for stage in stages][-2:] == ["stages.3", "head"]


def test_without_any_knowledge_the_body_is_one_stage() -> None:
    model = nn.Sequential()
    model.add_module("first", nn.Linear(4, 4))
    model.add_module("last", nn.Linear(4, 2))
    assert levels_of(model, "last") == Levels(("body",), ("",), {"first": 0, "last": 0})


def test_blocks_deep_inside_a_body_have_names_of_their_own() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            blocks = nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(3))
            self.encoder = nn.ModuleDict({"blocks": blocks})
            self.head = nn.Linear(2, 2)

        def group_matcher(self, coarse: bool) -> dict[str, object]:
            return {"blocks": [(r"^encoder\.blocks\.(\d+)", None), (r"^head", (99999,))]}

    names = levels_of(Nested(), "head").names
    assert names == ("encoder.blocks.0", "encoder.blocks.1", "encoder.blocks.2")


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ("head", ["head"]),
        ("last_1", ["layer4", "head"]),
        ("last_2", ["layer3", "layer4", "head"]),
        ("layer2", ["layer2", "layer3", "layer4", "head"]),
        ("last_5", ["stem", "layer1", "layer2", "layer3", "layer4", "head"]),
        ("all", ["stem", "layer1", "layer2", "layer3", "layer4", "head"]),
    ],
)
def test_trained_is_a_suffix(train: str, expected: list[str]) -> None:
    stages = stages_of(build("test_resnet"))
    assert [stage.name for stage in trained(stages, train)] == expected


@pytest.mark.parametrize("train", ["layer9", "last_0", "last_-1", "last_two", "", "Head"])
def test_an_unknown_stage_is_told_with_the_known_ones(train: str) -> None:
    with pytest.raises(RecipeError, match="stem, layer1, layer2, layer3, layer4"):
        trained(stages_of(build("test_resnet")), train)


def test_too_many_stages_are_told_with_their_number() -> None:
    with pytest.raises(RecipeError, match="this backbone has 5 stages"):
        trained(stages_of(build("test_resnet")), "last_6")


@pytest.mark.parametrize(
    ("name", "why"), [("levit_128s", "2 classifiers"), ("dla34", "isn't linear")]
)
def test_networks_without_one_linear_classifier_are_refused(
    name: str, why: str, make_model: Callable[..., nn.Module]
) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    with pytest.raises(WeightsError, match=why):
        stages_of(model)


def test_a_norm_with_an_activation_inside_is_frozen_as_a_whole() -> None:
    model = timm.create_model("mobilenetv4_conv_small_035", num_classes=3)
    stages = {stage.name: stage for stage in stages_of(model)}
    assert "norm_head" in stages["blocks.4"].modules
    assert "norm_head.act" in stages["blocks.4"].modules
