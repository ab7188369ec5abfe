"""A frozen network sees each image once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.features.body import BFLOAT16, FLOAT32, fastest_format
from finetune.features.form import Form
from finetune.features.frozen import FrozenOutputs, about
from finetune.features.store import FeatureStore
from finetune.model.head import classifier
from finetune.model.stages import HEAD

CPU = torch.device("cpu")
SPEC = InputSpec(size=32)


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


def test_bfloat16_is_taken_where_it_changes_little() -> None:
    exact = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    assert fastest_format(exact, exact.to(torch.bfloat16)) == BFLOAT16
    far = exact * 1e-3 + 1.0  # nearly the same for all images
    assert fastest_format(far, far.to(torch.bfloat16)) == FLOAT32
    assert fastest_format(exact[:1], exact[:1].to(torch.bfloat16)) == FLOAT32  # one has no spread


def test_what_was_computed_elsewhere_is_kept_and_known(tmp_path: Path) -> None:
    values = torch.randn(3, 4).to(torch.bfloat16)
    outputs = FrozenOutputs(FeatureStore(tmp_path, 2**20).shelf({}), Form((4,), BFLOAT16))
    assert outputs.known(["a", "b"]) is None
    outputs.keep(["a", "b", "a"], values.float()[[0, 1, 0]])
    known = outputs.known(["b", "a", "b"])
    assert known is not None
    assert known.equal(values[[1, 0, 1]])
    assert outputs.known(["a", "c"]) is None
    assert FrozenOutputs(None, outputs.form).known(["a"]) is None


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
