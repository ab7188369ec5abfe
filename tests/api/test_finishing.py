"""What a training that ends computes, and what it finds in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

import finetune
from finetune.console import Silent
from finetune.deploy.bundle import Classifier
from finetune.deploy.prediction import Seen, look

TINY = ["data.workers=0", "model.backbone=test_resnet", "input.size=48", "evaluate.bootstrap=100"]

_EXAMPLES = 2
"""Made-up pictures that pass where a network is traced."""


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many pictures each pass through a network's first layer had, beyond made-up ones."""
    passed: list[int] = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        first = isinstance(module, nn.Conv2d) and module.in_channels == 3
        if first and len(inputs[0]) != _EXAMPLES:
            passed.append(len(inputs[0]))

    hook = register_module_forward_pre_hook(count)
    try:
        yield passed
    finally:
        hook.remove()


def trained(data: Path, out: Path, *more: str, recipe: str = "linear_probe") -> finetune.Run:
    overrides = [*TINY, *more]
    return finetune.train(
        data, recipe, overrides=overrides, weights=_weights(data), out=out, reporter=Silent()
    )


def _weights(data: Path) -> Path:
    """The same for all seeds."""
    path = data.parent / "test_resnet.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        save_file(timm.create_model("test_resnet").state_dict(), path)
    return path


@pytest.fixture
def data(photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    return photos({"red": 20, "blue": 21})


def test_the_same_training_again_passes_no_image(data: Path, tmp_path: Path) -> None:
    with counted() as passed:
        first = trained(data, tmp_path / "first")
    assert sum(passed) >= 41
    with counted() as passed:
        again = trained(data, tmp_path / "again")
    assert passed == []
    assert again.metrics == first.metrics
    for file in ("predictions", "out_of_fold"):
        one, other = (getattr(run.directory, file).read_bytes() for run in (first, again))
        assert one == other
    pictures = [sorted(run.directory.images.iterdir()) for run in (first, again)]
    assert [p.name for p in pictures[0]] == [p.name for p in pictures[1]]
    assert any(p.name.endswith(".heat.webp") for p in pictures[0])
    for one, other in zip(*pictures, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_another_seed_passes_those_images_alone_that_get_heat(data: Path, tmp_path: Path) -> None:
    trained(data, tmp_path / "first")
    with counted() as passed:
        other = trained(data, tmp_path / "other", "seed=2")
    assert sum(passed) == len(list(other.directory.images.glob("*.heat.webp")))


def test_without_the_store_every_image_passes_again_and_nothing_changes(
    data: Path, tmp_path: Path
) -> None:
    first = trained(data, tmp_path / "first")
    with counted() as passed:
        again = trained(data, tmp_path / "again", "store.use=false")
    assert sum(passed) >= 41
    one, other = (run.directory.predictions.read_bytes() for run in (first, again))
    assert one == other


def test_pictures_of_another_size_pass(data: Path, tmp_path: Path) -> None:
    trained(data, tmp_path / "first")
    with counted() as passed:
        trained(data, tmp_path / "larger", "input.size=64")
    assert sum(passed) >= 41


def test_what_a_tuned_network_makes_of_the_test_part_is_not_taken_from_the_store(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def counting(classifier: Classifier, files: Sequence[Path], *rest: Any) -> Seen:
        looked.append(len(files))
        return look(classifier, files, *rest)

    monkeypatch.setattr("finetune.api.finishing.look", counting)
    trained(data, tmp_path / "first")
    assert looked == []
    tuned = ("phases.tune.epochs=1", "keep=last")
    run = trained(data, tmp_path / "tuned", *tuned, recipe="full_finetune")
    assert looked == [run.metrics["n"]]
