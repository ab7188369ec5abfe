from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from finetune.recipe.schema import GradientPhase
from finetune.training.mixing import Mix, Targets, draw_mix, mixed


def phase_of(**options: object) -> GradientPhase:
    return GradientPhase.model_validate({"name": "p", "train": "all", "epochs": 1, **options})


@given(st.integers(1, 40), st.floats(0.1, 5), st.integers(0, 9), st.sampled_from([0, 1]))
def test_a_mix_is_a_function_of_its_place(images, alpha, batch, kind):
    phase = phase_of(**{("mixup", "cutmix")[kind]: alpha})
    first, again = (draw_mix(phase, images, 1, "step", 0, 2, batch) for _ in range(2))
    assert first is not None
    assert again is not None
    assert (first.share, first.box) == (again.share, again.box)
    assert first.partners.equal(again.partners)
    assert sorted(first.partners.tolist()) == list(range(images))
    other = draw_mix(phase, images, 1, "step", 0, 2, batch + 1)
    assert other is not None
    assert other.share != first.share
    assert (first.box is not None) == bool(kind)


def test_without_an_option_nothing_is_mixed() -> None:
    assert draw_mix(phase_of(), 4, 1) is None
    images, labels = torch.rand(4, 3, 2, 2), torch.arange(4)
    inputs, targets = mixed(None, images, labels)
    assert inputs is images
    assert targets.labels is labels
    assert targets.others is None


def test_both_kinds_take_turns() -> None:
    phase = phase_of(mixup=0.2, cutmix=1.0)
    kinds = [draw_mix(phase, 2, n).box is None for n in range(60)]  # type: ignore[union-attr]
    assert 15 < sum(kinds) < 45


def test_mixup_blends_inputs_and_losses_alike() -> None:
    logits, labels = torch.randn(3, 4), torch.tensor([0, 1, 3])
    mix = Mix(torch.tensor([1, 2, 0]), 0.7, None)
    blend, targets = mixed(mix, logits, labels)
    assert torch.allclose(blend[0], 0.7 * logits[0] + 0.3 * logits[1])

    def losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, labels, reduction="none")

    soft = 0.7 * functional.one_hot(labels, 4) + 0.3 * functional.one_hot(labels[[1, 2, 0]], 4)
    expected = -(soft * logits.log_softmax(1)).sum(1)
    assert torch.allclose(targets.losses(losses, logits), expected, atol=1e-6)
    parts = [
        part.losses(losses, some)
        for part, some in zip(targets.split(2), logits.tensor_split(2), strict=True)
    ]
    assert torch.allclose(torch.cat(parts), expected, atol=1e-6)


@given(st.floats(0, 1), st.integers(0, 50))
def test_the_share_is_that_of_the_pixels_that_stay(alpha, number):
    phase = phase_of(cutmix=alpha + 0.1)
    mix = draw_mix(phase, 2, number)
    assert mix is not None
    pictures = torch.stack([torch.zeros(3, 10, 14), torch.ones(3, 10, 14)])
    swapped = Mix(torch.tensor([1, 0]), mix.share, mix.box)
    blend, share = swapped.of(pictures)
    assert 1 - float(blend[0].mean()) == pytest.approx(share, abs=1e-6)
    assert float(blend[1].mean()) == pytest.approx(share, abs=1e-6)
    assert Targets(torch.tensor([0])).share == 1.0
