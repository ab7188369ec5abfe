"""A frozen network sees each image once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

import finetune
from finetune.console import Silent
from finetune.data.input_spec import InputSpec
from finetune.data.manifest import Item
from finetune.features.body import BFLOAT16, FLOAT32, body_of, fastest_format
from finetune.features.extraction import features
from finetune.features.frozen import FrozenFeatures, about, form_of
from finetune.features.store import FeatureStore
from finetune.model.head import classifier
from finetune.model.precision import native_bfloat16

CPU = torch.device("cpu")
SPEC = InputSpec(size=32)
BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0"]


def item(digest: str) -> Item:
    return Item(path=f"a/{digest}.png", label="a", split="train", digest=digest)


class Network:
    """Counts what passes through."""

    def __init__(self) -> None:
        self.passed: list[str] = []

    def __call__(self, items: Sequence[Item]) -> np.ndarray:
        self.passed += [each.digest for each in items]
        values = [[float(int(each.digest, 16)), 0.5] for each in items]
        return np.array(values, np.float32)


@pytest.mark.parametrize("number_format", [FLOAT32, BFLOAT16])
def test_each_image_passes_once_in_one_run_and_the_next(tmp_path: Path, number_format: str) -> None:
    network = Network()
    shelf = FeatureStore(tmp_path, 10_000).shelf({})
    form = form_of(2, number_format)
    wanted = [item("a"), item("b"), item("a")]
    first = FrozenFeatures(shelf, form, network).of(wanted)
    assert first.tolist() == [[10, 0.5], [11, 0.5], [10, 0.5]]
    again = FrozenFeatures(shelf, form, network)
    assert again.missing([item("b"), item("c")]) == 1
    assert again.of([item("b"), item("c")]).tolist() == [[11, 0.5], [12, 0.5]]
    assert network.passed == ["a", "b", "c"]


def test_without_room_it_is_computed_each_time(tmp_path: Path) -> None:
    network = Network()
    for store in (None, FeatureStore(tmp_path, 1).shelf({})):
        for _ in range(2):
            assert FrozenFeatures(store, form_of(2, FLOAT32), network).of([item("a")]).size
    assert network.passed == ["a"] * 4


def test_features_hang_on_the_body_and_not_on_the_head() -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3)
    before = about(model, SPEC, CPU, FLOAT32)
    nn.init.normal_(classifier(model).weight)
    assert about(model, SPEC, CPU, FLOAT32) == before
    assert about(model, SPEC, CPU, BFLOAT16) != before
    assert about(model, InputSpec(size=64), CPU, FLOAT32) != before
    model.layer1[0].conv1.stride = (2, 2)
    assert about(model, SPEC, CPU, FLOAT32) != before
    model.layer1[0].conv1.stride = (1, 1)
    act = model.layer2[0].act1
    model.layer2[0].act1 = nn.SiLU(inplace=act.inplace)  # describes itself as the ReLU did
    assert about(model, SPEC, CPU, FLOAT32) != before
    model.layer2[0].act1 = act
    assert about(model, SPEC, CPU, FLOAT32) == before
    nn.init.normal_(model.layer1[0].conv1.weight)
    assert about(model, SPEC, CPU, FLOAT32) != before


@pytest.mark.skipif(not native_bfloat16(CPU), reason="the processor has no native bfloat16")
def test_bfloat16_is_taken_where_it_changes_little() -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3).eval()
    images = torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8)
    assert fastest_format(model, SPEC, images) == BFLOAT16
    assert fastest_format(model, SPEC, images[:1]) == FLOAT32  # one image has no spread
    with torch.no_grad():  # features that are nearly the same for all images
        classifier_input = model.layer4[-1]
        classifier_input.register_forward_hook(lambda _m, _i, out: out * 1e-3 + 1.0)
    assert fastest_format(model, SPEC, images) == FLOAT32


@pytest.mark.skipif(not native_bfloat16(CPU), reason="the processor has no native bfloat16")
def test_stored_bfloat16_features_are_those_computed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3).eval()
    images = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        live = body_of(model, SPEC, CPU, BFLOAT16)(images).float().numpy()
    form = form_of(live.shape[1], BFLOAT16)
    shelf = FeatureStore(tmp_path, 10**6).shelf({})
    items = [item(str(n)) for n in range(5)]
    for _ in range(2):
        assert FrozenFeatures(shelf, form, lambda _: live).of(items).tobytes() == live.tobytes()


def test_a_second_probe_passes_no_image_and_is_the_same(
    photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    data = photos({"red": 12, "green": 12})
    passed: list[int] = []

    def counting(model, loader, *rest):
        found = features(model, loader, *rest)
        passed.append(len(found))
        return found

    monkeypatch.setattr("finetune.training.setting.features", counting)

    def train(name: str, *more: str) -> finetune.Run:
        return finetune.train(
            data, "linear_probe", overrides=[*BASE, *more], weights="none",
            out=tmp_path / name, reporter=Silent(),
        )  # fmt: skip

    first = train("a")
    assert sum(passed) == 20
    second = train("b")
    assert sum(passed) == 20
    name = "predictions.csv"
    assert (first.path / name).read_bytes() == (second.path / name).read_bytes()
    train("c", "store.use=false")
    assert sum(passed) == 40
    train("d", "input.size=48")
    assert sum(passed) == 60
