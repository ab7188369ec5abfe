from __future__ import annotations

import pytest
import timm
import torch

from finetune.errors import WeightsError
from finetune.model.costs import stage_costs, total_multiply_adds, total_parameters
from finetune.model.stages import stages_of


@pytest.mark.parametrize(
    ("name", "millions", "giga"),
    [
        # https://arxiv.org/abs/1512.03385 counts 3.8 for strides that stand elsewhere; torchvision
        # publishes 25,557,032 and 4.09 for these.
        ("resnet50", 25.557032, 4.09),
        ("mobilenetv2_100", 3.504872, 0.30),  # https://arxiv.org/abs/1801.04381, table 4
        ("vit_base_patch16_224", 86.567656, 17.56),  # torchvision's vit_b_16
        ("convnext_tiny", 28.589128, 4.46),  # torchvision's convnext_tiny
        ("swin_tiny_patch4_window7_224", 28.288354, 4.49),  # torchvision's swin_t
    ],
)
def test_costs_are_those_that_are_published(name: str, millions: float, giga: float) -> None:
    costs = stage_costs(name)
    assert total_parameters(costs) == round(millions * 1e6)
    assert total_multiply_adds(costs) / 1e9 == pytest.approx(giga, abs=0.005)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "cait_xxs24_224"])
def test_stages_are_those_of_the_network_itself(name: str) -> None:
    model = timm.create_model(name, num_classes=3).eval()
    stages = stages_of(model)
    costs = stage_costs(name, num_classes=3)
    assert [cost.name for cost in costs] == [stage.name for stage in stages]
    held = [sum(model.get_parameter(p).numel() for p in stage.parameters) for stage in stages]
    assert [cost.parameters for cost in costs] == held
    assert all(cost.multiply_adds for cost in costs)
    assert costs[-1].output == (3,)


def test_a_stage_counts_what_is_computed_in_it_alone() -> None:
    first, *_, head = stage_costs("resnet50", num_classes=10)
    assert (first.name, first.output) == ("stem", (64, 112, 112))
    assert first.multiply_adds == 112 * 112 * 64 * 3 * 7 * 7
    assert head.multiply_adds == 2048 * 10


def test_four_times_the_pixels_cost_four_times_the_work() -> None:
    small, large = (stage_costs("resnet18", size=size) for size in (128, 256))
    for a, b in zip(small[:-1], large[:-1], strict=True):
        assert b.multiply_adds == 4 * a.multiply_adds
        assert (b.parameters, b.output) == (
            a.parameters,
            (a.output[0], *(2 * n for n in a.output[1:])),
        )
    assert small[-1] == large[-1]


def test_a_built_in_size_is_changed_as_training_does_it() -> None:
    small, large = (stage_costs("test_vit", size=size) for size in (160, 320))
    assert large[0].parameters > small[0].parameters  # the positions
    assert large[0].output[0] > small[0].output[0]


def test_the_generator_of_torch_is_not_moved() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    stage_costs("test_resnet")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "size", "told"),
    [
        ("dla34", None, "isn't linear"),
        ("inception_v3", 32, "inception_v3 doesn't take pictures of 32 by 32"),
    ],
)
def test_what_cannot_be_used_says_why(name: str, size: int | None, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
        stage_costs(name, size=size)
