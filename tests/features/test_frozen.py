"""A frozen network sees each image once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

import finetune
from finetune.console import Silent
from finetune.data.input_spec import InputSpec
from finetune.features.body import BFLOAT16, FLOAT32, fastest_format
from finetune.features.extraction import passed
from finetune.features.form import Form
from finetune.features.frozen import FrozenOutputs, about
from finetune.features.store import FeatureStore
from finetune.model.head import classifier
from finetune.model.precision import native_bfloat16
from finetune.model.stages import HEAD

CPU = torch.device("cpu")
SPEC = InputSpec(size=32)
BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0"]


class Network:
    """Counts what passes through."""

    def __init__(self, names: list[str], dtype: torch.dtype = torch.float32) -> None:
        self.names, self.dtype = names, dtype
        self.passed: list[str] = []

    def __call__(self, chosen: list[int]) -> Iterator[torch.Tensor]:
        for position in chosen:
            self.passed.append(self.names[position])
            yield torch.tensor([[int(self.names[position], 16), 0.5]]).to(self.dtype)


@pytest.mark.parametrize("number_format", [FLOAT32, BFLOAT16])
def test_each_image_passes_once_in_one_run_and_the_next(tmp_path: Path, number_format: str) -> None:
    dtype = torch.bfloat16 if number_format == BFLOAT16 else torch.float32
    shelf = FeatureStore(tmp_path, 10_000).shelf({})
    outputs = FrozenOutputs(shelf, Form((2,), number_format))
    first = Network(["a", "b", "a"], dtype)
    found = outputs.always(first.names, first)
    assert found.dtype == dtype
    assert found.tolist() == [[10, 0.5], [11, 0.5], [10, 0.5]]
    assert first.passed == ["a", "b"]
    assert outputs.missing(["b", "c", "c"]) == 1
    again = Network(["b", "c"], dtype)
    assert outputs.always(again.names, again).tolist() == [[11, 0.5], [12, 0.5]]
    assert again.passed == ["c"]


def test_without_room_it_is_computed_each_time(tmp_path: Path) -> None:
    network = Network(["a"])
    for shelf in (None, FeatureStore(tmp_path, 1).shelf({})):
        outputs = FrozenOutputs(shelf, Form((2,), FLOAT32))
        assert not outputs.fits(1)
        assert outputs.stored(["a"], Network(["a"])) is None
        for _ in range(2):
            assert outputs.always(["a"], network).tolist() == [[10, 0.5]]
    assert network.passed == ["a"] * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_every_bit_and_the_layout_come_back(
    dtype: torch.dtype, memory: torch.memory_format
) -> None:
    values = torch.randn(3, 5, 4, 2).to(dtype).contiguous(memory_format=memory)
    form = Form.of(values)
    rows = form.rows(values)
    assert rows[0].nbytes == form.nbytes
    back = form.values(list(rows))
    assert back.equal(values)
    assert back.stride() == values.stride()


def test_features_hang_on_the_body_and_not_on_the_head() -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3)
    before = about(model, HEAD, SPEC, CPU, FLOAT32)
    nn.init.normal_(classifier(model).weight)
    assert about(model, HEAD, SPEC, CPU, FLOAT32) == before
    assert about(model, HEAD, SPEC, CPU, BFLOAT16) != before
    assert about(model, HEAD, InputSpec(size=64), CPU, FLOAT32) != before
    model.layer1[0].conv1.stride = (2, 2)
    assert about(model, HEAD, SPEC, CPU, FLOAT32) != before
    model.layer1[0].conv1.stride = (1, 1)
    act = model.layer2[0].act1
    model.layer2[0].act1 = nn.SiLU(inplace=act.inplace)  # describes itself as the ReLU did
    assert about(model, HEAD, SPEC, CPU, FLOAT32) != before
    model.layer2[0].act1 = act
    assert about(model, HEAD, SPEC, CPU, FLOAT32) == before
    nn.init.normal_(model.layer1[0].conv1.weight)
    assert about(model, HEAD, SPEC, CPU, FLOAT32) != before


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


def test_features_hang_on_plain_settings_too() -> None:
    model = timm.create_model("test_vit", num_classes=3)
    spec = InputSpec(size=160)
    before = about(model, HEAD, spec, CPU, FLOAT32)
    pooling, model.global_pool = model.global_pool, "max"  # the same tensors and modules
    assert about(model, HEAD, spec, CPU, FLOAT32) != before
    model.global_pool = pooling
    model.blocks[0].attn.num_heads *= 2
    assert about(model, HEAD, spec, CPU, FLOAT32) != before
    model.blocks[0].attn.num_heads //= 2
    assert about(model, HEAD, spec, CPU, FLOAT32) == before


def test_features_are_shared_by_data_sets_of_other_classes() -> None:
    described = []
    for classes in (3, 5):
        torch.manual_seed(0)
        model = timm.create_model("test_vit", num_classes=1000)
        model.reset_classifier(classes)
        described.append(about(model, HEAD, InputSpec(size=160), CPU, FLOAT32))
    assert described[0] == described[1]


def test_outputs_hang_on_what_is_before_the_cut_alone() -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3)
    before = about(model, "layer3", SPEC, CPU, FLOAT32)
    nn.init.normal_(model.layer3[0].conv1.weight)
    assert about(model, "layer3", SPEC, CPU, FLOAT32) == before
    assert about(model, "layer4", SPEC, CPU, FLOAT32)["tensors"] != before["tensors"]
    nn.init.normal_(model.layer2[0].conv1.weight)
    assert about(model, "layer3", SPEC, CPU, FLOAT32) != before


def test_a_second_probe_passes_no_image_and_is_the_same(
    photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    data = photos({"red": 12, "green": 12})
    seen: list[int] = []

    def counting(make, loader, *rest):
        for rows, indices in passed(make, loader, *rest):
            seen.append(len(rows))
            yield rows, indices

    monkeypatch.setattr("finetune.training.setting.passed", counting)

    def train(name: str, *more: str) -> finetune.Run:
        return finetune.train(
            data, "linear_probe", overrides=[*BASE, *more], weights="none",
            out=tmp_path / name, reporter=Silent(),
        )  # fmt: skip

    first = train("a")
    assert sum(seen) == 20
    second = train("b")
    assert sum(seen) == 20
    name = "predictions.csv"
    assert (first.path / name).read_bytes() == (second.path / name).read_bytes()
    train("c", "store.use=false")
    assert sum(seen) == 40
    train("d", "input.size=48")
    assert sum(seen) == 60
