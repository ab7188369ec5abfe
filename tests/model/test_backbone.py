from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.errors import WeightsError
from finetune.model.backbone import Loaded, input_spec, load_backbone, local_dir_config
from finetune.model.head import classifier
from finetune.model.stages import stages_of
from finetune.model.weights import choose_weights
from finetune.recipe.schema import InputOptions

Options = Callable[..., Any]
Make = Callable[..., nn.Module]


@pytest.fixture
def load(options: Options) -> Callable[..., Loaded]:
    def load(
        path: Path | str, backbone: str = "test_resnet", classes: int = 3, **how: Any
    ) -> Loaded:
        return load_backbone(
            choose_weights(options(backbone=backbone), str(path), None),
            classes,
            **{"seed": 1} | how,
        )

    return load


def body(model: nn.Module) -> dict[str, torch.Tensor]:
    head = {id(p) for p in classifier(model).parameters()}
    owned = dict(model.named_parameters())
    return {n: t for n, t in model.state_dict().items() if id(owned.get(n)) not in head}


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_every_tensor_but_the_head_is_loaded(
    load: Callable[..., Loaded], make_model: Make, tmp_path: Path, name: str
) -> None:
    source = make_model(name)
    path = tmp_path / "w.safetensors"
    save_file(source.state_dict(), path)
    loaded = load(path, name)
    expected = body(source)
    assert body(loaded.model).keys() == expected.keys()
    assert all(torch.equal(t, expected[n]) for n, t in body(loaded.model).items())
    assert classifier(loaded.model).weight.abs().sum() == 0
    assert classifier(loaded.model).bias.abs().sum() == 0
    assert loaded.report.tensors == len(expected)
    assert "1,000 classes replaced by 3" in loaded.report.head
    assert loaded.report.digest == loaded.pretrained.digest != ""
    assert not loaded.model.training


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_the_head_that_is_left_out_is_told(
    load: Callable[..., Loaded], make_model: Make, tmp_path: Path, name: str
) -> None:
    source = make_model(name)
    save_file({n: t.half() for n, t in source.state_dict().items()}, tmp_path / "w.safetensors")
    head = load(tmp_path / "w.safetensors", name).source_head
    assert head is not None
    assert head.weight.equal(classifier(source).weight.half().float())
    assert head.bias.equal(classifier(source).bias.half().float())
    assert head.layer().weight.equal(head.weight)


def test_a_head_that_does_not_fit_is_none(
    load: Callable[..., Loaded], weights_file: Path, tmp_path: Path
) -> None:
    tensors, path = load_file(weights_file), tmp_path / "odd.safetensors"
    weight, bias = tensors["fc.weight"], tensors["fc.bias"]
    odd = [(weight[:, 1:], bias), (weight, bias[1:]), (weight, bias[0]), (weight * torch.inf, bias)]
    for other, own in odd:
        save_file(tensors | {"fc.weight": other.contiguous(), "fc.bias": own.clone()}, path)
        assert load(path).source_head is None
    assert load("none").source_head is None


def test_the_network_lies_channels_last(load: Callable[..., Loaded], weights_file: Path) -> None:
    convolutions = [p for p in load(weights_file).model.parameters() if p.ndim == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in convolutions)


def test_resnet50_from_a_file_of_real_size(
    load: Callable[..., Loaded], make_model: Make, tmp_path: Path
) -> None:
    source = make_model("resnet50")
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}},
        tmp_path / "w.pth",
    )
    assert (tmp_path / "w.safetensors").stat().st_size > 100_000_000
    pictures = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = source.forward_head(source.forward_features(pictures), pre_logits=True)
    for suffix in ("safetensors", "pth"):
        loaded = load(tmp_path / f"w.{suffix}", "resnet50.tv_in1k", 5)
        assert loaded.report.tensors == 318
        assert loaded.report.head == "fc: 1,000 classes replaced by 5"
        with torch.no_grad():
            model = loaded.model
            got = model.forward_head(model.forward_features(pictures), pre_logits=True)
        assert torch.allclose(got, expected, atol=1e-5 * float(expected.max()))


@pytest.mark.real
def test_a_described_file_needs_nothing_else(options: Options, shared: Path) -> None:
    (weights,) = (shared / "weights").glob("mobilenetv2_100*.safetensors")
    choice = choose_weights(options(), str(weights), None)
    loaded = load_backbone(choice, 4, seed=1)
    assert loaded.report.licence == "Apache-2.0"
    assert loaded.report.tensors == 312
    assert loaded.report.head == "classifier: 1,000 classes replaced by 4"
    assert input_spec(loaded, InputOptions.model_validate({})) == InputSpec(
        interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    plain = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=1000).eval()
    plain.load_state_dict(load_file(weights))
    pictures = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.allclose(
            loaded.model.forward_features(pictures), plain.forward_features(pictures), atol=1e-3
        )


def changed(path: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    tensors = load_file(path)
    change(tensors)
    other = path.with_name("changed.safetensors")
    save_file(tensors, other)
    return other


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("layer1.0.conv1.weight"), "1 tensor missing: layer1.0.conv1.weight"),
        (lambda t: t.update(extra=torch.ones(1)), "1 tensor not in the network: extra"),
        (
            lambda t: t.update({"layer4.0.bn1.bias": torch.ones(2)}),
            r"1 tensor of another shape: layer4.0.bn1.bias \[2\] for \[96\]",
        ),
        (
            lambda t: t["layer1.0.bn1.bias"].fill_(float("nan")),
            "1 tensor with NaN or infinity: layer1.0.bn1.bias",
        ),
        (
            lambda t: t.update({"layer1.0.bn1.bias": torch.ones(32, dtype=torch.int8)}),
            "1 tensor of whole numbers, maybe quantised: layer1.0.bn1.bias",
        ),
    ],
)
def test_whatever_does_not_fit_is_refused(
    load: Callable[..., Loaded], weights_file: Path, change: Callable[..., Any], told: str
) -> None:
    path = changed(weights_file, change)
    with pytest.raises(WeightsError, match=told) as caught:
        load(path)
    assert caught.value.where == str(path)


def test_weights_of_another_network_are_refused(
    load: Callable[..., Loaded], weights_file: Path
) -> None:
    with pytest.raises(WeightsError, match=r"fit the network:\n.* and \d+ more"):
        load(weights_file, "resnet10t")
    with pytest.raises(WeightsError):
        load(weights_file, "test_vit")


def test_old_files_have_no_batch_counts(load: Callable[..., Loaded], weights_file: Path) -> None:
    def drop(tensors: dict[str, torch.Tensor]) -> None:
        for name in [n for n in tensors if n.endswith("num_batches_tracked")]:
            del tensors[name]

    assert "no counts of batches" in load(changed(weights_file, drop)).report.notes[0]


def test_half_precision_is_converted(load: Callable[..., Loaded], weights_file: Path) -> None:
    def halve(tensors: dict[str, torch.Tensor]) -> None:
        for name, value in tensors.items():
            if value.is_floating_point():
                tensors[name] = value.half()

    loaded = load(changed(weights_file, halve))
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
    assert "converted" in loaded.report.notes[0]


def test_a_file_without_classifier_is_fine(load: Callable[..., Loaded], weights_file: Path) -> None:
    def behead(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["fc.weight"], tensors["fc.bias"]

    assert "no classifier of its own" in load(changed(weights_file, behead)).report.head


def test_random_weights_are_a_function_of_the_seed(options: Options) -> None:
    choice = choose_weights(options(backbone="test_resnet"), "none", None)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    models = [load_backbone(choice, 3, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    first, again, other = (m.model.state_dict() for m in models)
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)
    assert classifier(models[0].model).weight.abs().sum() > 0
    assert models[0].report.lines()[0] == "Backbone test_resnet, none: random weights from seed 1."
    assert not models[0].report.pretrained


def test_dropout_and_drop_path(load: Callable[..., Loaded], weights_file: Path) -> None:
    model = load(weights_file, dropout=0.3, drop_path=0.2).model
    assert model.drop_rate == 0.3
    assert any(getattr(m, "drop_prob", 0) for m in model.modules())


@pytest.mark.parametrize("name", ["mobilenetv1_100", "densenet121"])
def test_drop_path_wants_residual_branches(options: Options, name: str) -> None:
    choice = choose_weights(options(backbone=name), "none", None)
    with pytest.raises(WeightsError, match="drop_path"):
        load_backbone(choice, 3, seed=1, drop_path=0.1)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_another_input_size(
    load: Callable[..., Loaded], make_model: Make, tmp_path: Path, name: str
) -> None:
    save_file(make_model(name).state_dict(), tmp_path / "w.safetensors")
    loaded = load(tmp_path / "w.safetensors", name, size=96)
    assert loaded.model(torch.randn(1, 3, 96, 96)).shape == (1, 3)
    assert loaded.pretrained.model_args == ({"img_size": 96} if name == "test_vit" else {})


def test_metadata_that_the_network_does_not_take(
    load: Callable[..., Loaded], weights_file: Path
) -> None:
    config = {"architecture": "test_resnet", "model_args": {"qkv_bias": True}}
    weights_file.with_name("config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="can't be built with qkv_bias=True"):
        load(weights_file)


def test_input_spec_follows_the_recipe(load: Callable[..., Loaded], weights_file: Path) -> None:
    loaded = load(weights_file)
    asked = InputOptions.model_validate({"size": 128, "fit": "squash"})
    spec = input_spec(loaded, asked)
    assert (spec.size, spec.fit) == (128, "squash")
    assert input_spec(loaded, InputOptions.model_validate({})).size == 160


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("test_resnet", {"global_pool": "max"}, None),
        ("test_convnext", {}, None),
        ("test_vit", {"class_token": True}, 96),
        ("mobilenetv2_035", {"pad_type": "same"}, 64),
    ],
)
def test_timm_builds_the_same_network_from_the_config(
    load: Callable[..., Loaded],
    make_model: Make,
    tmp_path: Path,
    name: str,
    arguments: dict[str, Any],
    size: int | None,
) -> None:
    path = tmp_path / "w.safetensors"
    metadata = {"architecture": name, "create_model_kwargs": json.dumps(arguments)}
    save_file(make_model(name, **arguments).state_dict(), path, metadata=metadata)
    loaded = load(path, size=size)
    nn.init.normal_(classifier(loaded.model).weight)
    options = InputOptions.model_validate({"size": size or "auto", "fit": "squash"})
    spec = input_spec(loaded, options)
    folder = tmp_path / "model"
    folder.mkdir()
    config = local_dir_config(loaded, 3, spec, ("ant", "bee", "cat"))
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        {n: t.contiguous() for n, t in loaded.model.state_dict().items()},
        folder / "model.safetensors",
    )
    again = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    pictures = torch.randn(2, 3, spec.size, spec.size)
    with torch.no_grad():
        again = again.to(memory_format=torch.channels_last)
        assert torch.equal(again(pictures), loaded.model(pictures))
    known = timm.data.resolve_model_data_config(again)
    assert tuple(known["input_size"]) == (3, spec.size, spec.size)
    assert (tuple(known["mean"]), known["crop_mode"]) == (spec.mean, "squash")
    # And it is a weights file for a next training, by itself.
    assert load(folder, "resnet50", 2).report.head.endswith("3 classes replaced by 2")


def test_the_report_is_json(load: Callable[..., Loaded], weights_file: Path) -> None:
    loaded = load(weights_file)
    told = json.loads(json.dumps(loaded.report.to_dict()))
    assert told["source"] == "file: weights.safetensors"
    assert told["pretrained"] is True
    assert any("Licence of the weights: not known" in line for line in loaded.report.lines())


def test_stages_of_a_loaded_network(load: Callable[..., Loaded], weights_file: Path) -> None:
    assert stages_of(load(weights_file).model)[-1].parameters == ("fc.weight", "fc.bias")
