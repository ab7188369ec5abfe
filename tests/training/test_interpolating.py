"""A phase ends with the mixture of its ends that scores best."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import finetune
from finetune.console import Silent
from finetune.training.interpolating import SHARES, Mixture, Stretch, interpolate


def networks(seed: int) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(seed)
    first, last = (timm.create_model("test_resnet", num_classes=3).eval() for _ in range(2))
    with torch.no_grad():
        for model in (first, last):
            model.fc.bias.normal_()
            model.fc.weight.normal_(0, 0.5)
    return first, last


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def silent() -> object:
    return Silent().task("", 0, "").__enter__()


def loss_of(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return float(functional.cross_entropy(model(images).double(), labels))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_the_share_is_that_of_the_lowest_log_loss_of_mixed_networks(seed: int) -> None:
    first, last = networks(seed)
    images, labels = torch.randn(12, 3, 32, 32), torch.randint(0, 3, (12,))
    explicit = []
    for share in SHARES:
        mixed = copy.deepcopy(first)
        with torch.no_grad():
            for own, other in zip(mixed.parameters(), last.parameters(), strict=True):
                own.copy_((1 - share) * own + share * other)
            for own, other in zip(mixed.buffers(), last.buffers(), strict=True):
                mean = (1 - share) * own + share * other
                own.copy_(mean if own.is_floating_point() else other)
        explicit.append(loss_of(mixed, images, labels))
    model = copy.deepcopy(last)

    def logits() -> np.ndarray:
        with torch.no_grad():
            return np.asarray(model(images).numpy())

    stretch = Stretch(state(first), state(last))
    found = interpolate(model, stretch, logits, labels.numpy(), None, silent())  # type: ignore[arg-type]
    assert found.log_losses == pytest.approx(explicit, rel=1e-4)
    assert found.log_losses[SHARES.index(found.share)] == min(found.log_losses)
    assert loss_of(model, images, labels) == pytest.approx(min(explicit), rel=1e-4)
    assert np.array_equal(found.logits, logits())


def scored(losses: list[float]) -> tuple[Mixture, nn.Module]:
    """A mixture where the share of number ``n`` scores ``losses[n]``."""
    model = nn.Linear(1, 1)
    ends = [{"weight": torch.full((1, 1), float(n)), "bias": torch.zeros(1)} for n in range(2)]

    def logits() -> np.ndarray:
        wanted = losses[round(float(model.weight.detach()) * 10)]
        return np.array([[0.0, np.log(np.expm1(wanted))]])

    return interpolate(model, Stretch(*ends), logits, np.array([0]), None, silent()), model  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lowest", "share", "told"),
    [
        ([0], 0.0, "put back to what it began with: log loss 0.5000, and 1.0000"),
        ([3, 4], 0.3, "30% mixed with 70% of what it began with: log loss 0.5000, and 1.0000"),
        ([10], 1.0, "unmixed: no share of what it began with lowers the log loss of 0.5000"),
        (list(range(11)), 0.0, "put back"),
    ],
)
def test_the_smallest_share_of_equals_is_taken_and_told(
    lowest: list[int], share: float, told: str
) -> None:
    found, model = scored([0.5 if number in lowest else 1.0 for number in range(11)])
    assert found.share == share
    assert float(model.weight.detach()) == pytest.approx(share)
    assert found.words.startswith(told)
    assert found.to_record()["share"] == share


def test_the_ends_are_exact_and_counts_are_not_mixed() -> None:
    first, last = networks(0)
    last.conv1[1].num_batches_tracked.fill_(7)
    stretch = Stretch(state(first), state(last))
    for share, expected in ((0.0, first), (1.0, last)):
        for name, value in expected.state_dict().items():
            assert stretch.at(share)[name].equal(value), name
    assert stretch.at(0.3)["conv1.1.num_batches_tracked"] == 7


def test_statistics_are_computed_again_between_the_ends() -> None:
    model, refreshed = nn.Linear(1, 1), []
    ends = [{"weight": torch.full((1, 1), float(n)), "bias": torch.zeros(1)} for n in range(2)]

    def logits() -> np.ndarray:
        return np.array([[0.0, abs(float(model.weight.detach()) - 0.5)]])

    def refresh() -> None:
        refreshed.append(round(float(model.weight.detach()), 1))

    interpolate(model, Stretch(*ends), logits, np.array([0]), refresh, silent())  # type: ignore[arg-type]
    assert refreshed == [*SHARES[1:-1], 0.5]


def test_a_run_tells_what_was_mixed(photos: Callable[..., Path], tmp_path: Path) -> None:
    phase = {"name": "top", "train": "last_1", "epochs": 2, "batch_size": 8, "interpolate": True}
    recipe = finetune.Recipe.model_validate({"name": "own", "phases": [phase]})
    run = finetune.train(
        photos({"red": 20, "green": 20}, noise=130), recipe, weights="none", out=tmp_path / "run",
        overrides=["model.backbone=test_resnet", "input.size=32", "data.workers=0"],
        reporter=Silent(),
    )  # fmt: skip
    (record,) = run.phases["phases"]
    losses = record["mixture"]["log_losses"]
    assert len(losses) == len(SHARES)
    assert record["mixture"]["share"] == SHARES[int(np.argmin(losses))]
    assert losses[-1] == pytest.approx(run.log.val_log_loss.iloc[-1], rel=1e-6)
    assert f"{min(losses):.4f}" in record["ended"]
    assert record["ended"] in run.directory.report.read_text(encoding="utf-8")
