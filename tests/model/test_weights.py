from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.errors import FinetuneError, RecipeError, WeightsError
from finetune.model.hub import HubSource
from finetune.model.metadata import MODEL_ARGS
from finetune.model.weights import choose_weights

Options = Callable[..., Any]
Make = Callable[..., nn.Module]


@pytest.fixture
def described(tmp_path: Path, make_model: Make) -> Callable[..., Path]:
    """A weights file of a tiny ResNet with safetensors metadata."""

    def write(**metadata: str) -> Path:
        path = tmp_path / "described.safetensors"
        save_file(make_model("test_resnet", 2).state_dict(), path, metadata=metadata)
        return path

    return write


def config(path: Path, **values: Any) -> None:
    path.with_name("config.json").write_text(json.dumps(values), encoding="utf-8")


def test_the_default_comes_from_the_hub(options: Options) -> None:
    choice = choose_weights(options(), None, None)
    assert choice.place == HubSource("timm/resnet50.tv_in1k")
    assert choice.pretrained.backbone == "resnet50.tv_in1k"
    assert choice.pretrained.licence == "bsd-3-clause"
    assert choice.pretrained.input == InputSpec(interpolation="bilinear")


@pytest.mark.parametrize(("pretrained", "weights"), [(False, None), (True, "none")])
def test_random_weights(options: Options, pretrained: bool, weights: str | None) -> None:
    choice = choose_weights(options(pretrained=pretrained), weights, None)
    assert choice.place is None
    assert choice.pretrained.backbone == "resnet50.tv_in1k"


def test_a_file_stands_over_a_recipe_that_wants_none(options: Options, weights_file: Path) -> None:
    choice = choose_weights(
        options(pretrained=False, backbone="test_resnet"), str(weights_file), None
    )
    assert choice.place == weights_file


def test_without_metadata_the_recipe_names_the_backbone(
    options: Options, weights_file: Path
) -> None:
    choice = choose_weights(options(backbone="test_resnet"), str(weights_file), None)
    assert choice.pretrained.architecture == "test_resnet"
    assert choice.pretrained.input.size == 160
    assert choice.pretrained.licence is None


def test_metadata_stands_over_the_recipe(options: Options, described: Callable[..., Path]) -> None:
    path = described(
        architecture="test_resnet", create_model_kwargs='{"global_pool": "max"}',
        mean="0.5,0.4,0.3", std="[0.2, 0.3, 0.4]", interpolation="bilinear", crop_pct="0.9",
        input_size="3,96,96", licence="cc0",
    )  # fmt: skip
    chosen = choose_weights(options(), str(path), None).pretrained
    assert chosen.architecture == "test_resnet"
    assert dict(chosen.model_args) == {"global_pool": "max"}
    assert chosen.licence == "cc0"
    assert chosen.input == InputSpec(
        size=96, interpolation="bilinear", crop_pct=0.9, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)
    )


def test_the_command_line_may_not_contradict_the_file(
    options: Options, described: Callable[..., Path]
) -> None:
    path = described(architecture="test_resnet")
    assert (
        choose_weights(options(), str(path), "test_resnet.r160_in1k").pretrained.tag == "r160_in1k"
    )
    with pytest.raises(
        WeightsError, match=r"holds weights of test_resnet, but .* asks for resnet18"
    ):
        choose_weights(options(), str(path), "resnet18")


def test_a_config_beside_the_file(options: Options, weights_file: Path) -> None:
    config(
        weights_file,
        architecture="test_resnet",
        num_classes=1000,
        pretrained_cfg={"tag": "mine", "mean": [0.5, 0.5, 0.5], "crop_pct": 1.0, "license": "mit"},
        model_args={"global_pool": "max", "drop_path_rate": 0.1},
    )
    chosen = choose_weights(options(), str(weights_file), None).pretrained
    assert (chosen.backbone, chosen.licence) == ("test_resnet", "mit")
    assert dict(chosen.model_args) == {"global_pool": "max"}
    assert (chosen.input.mean, chosen.input.crop_pct) == ((0.5, 0.5, 0.5), 1.0)


def test_an_old_flat_config(options: Options, weights_file: Path) -> None:
    config(weights_file, architecture="test_resnet", std=[0.5, 0.5, 0.5], labels=["a"])
    assert choose_weights(options(), str(weights_file), None).pretrained.input.std == (
        0.5,
        0.5,
        0.5,
    )


def test_another_programs_config_is_left_alone(options: Options, weights_file: Path) -> None:
    config(weights_file, architectures=["ResNetForImageClassification"], model_args={"x": 1})
    chosen = choose_weights(options(backbone="test_resnet"), str(weights_file), None).pretrained
    assert chosen.architecture == "test_resnet"


def test_a_folder_in_timms_layout(options: Options, tmp_path: Path, make_model: Make) -> None:
    save_file(make_model("test_vit", 2).state_dict(), tmp_path / "model.safetensors")
    config(tmp_path / "model.safetensors", architecture="test_vit")
    choice = choose_weights(options(), str(tmp_path), None)
    assert choice.place == tmp_path / "model.safetensors"
    assert choice.pretrained.architecture == "test_vit"


def test_metadata_and_config_that_disagree(
    options: Options, described: Callable[..., Path]
) -> None:
    path = described(architecture="test_resnet")
    config(path, architecture="test_vit")
    with pytest.raises(WeightsError, match=r"test_resnet, the config.json beside it test_vit"):
        choose_weights(options(), str(path), None)


def test_all_forbidden_options_are_named(options: Options, described: Callable[..., Path]) -> None:
    arguments = {
        "pretrained": True, "checkpoint_path": "/x", "block": "os.system", "pad_type": ["same"],
        "img_size": 10**9, "global_pool": {"a": 1},
    }  # fmt: skip
    path = described(architecture="test_resnet", create_model_kwargs=json.dumps(arguments))
    with pytest.raises(WeightsError) as caught:
        choose_weights(options(), str(path), None)
    for name in arguments:
        assert f"{name}: may not be" in str(caught.value)


@pytest.mark.parametrize(
    "metadata",
    [
        {"std": "0,1,1"},
        {"mean": "nan,0,0"},
        {"mean": "0.5,0.5"},
        {"input_size": "3,224,256"},
        {"input_size": "1,224,224"},
        {"input_size": "3,99999,99999"},
        {"interpolation": "lanczos"},
        {"crop_pct": "much"},
        {"create_model_kwargs": "[1]"},
        {"create_model_kwargs": "{"},
        {"create_model_kwargs": "[" * 3000},
        {"create_model_kwargs": " " * 5000},
        {"architecture": "no_such_net"},
        {"architecture": "hf-hub:someone/net"},
        {"architecture": "local-dir:/tmp"},
    ],
    ids=str,
)
def test_bad_metadata_is_refused_with_the_file(
    options: Options, described: Callable[..., Path], metadata: dict[str, str]
) -> None:
    path = described(**metadata)
    with pytest.raises(WeightsError) as caught:
        choose_weights(options(), str(path), None)
    assert caught.value.where.startswith(str(path))


@pytest.mark.parametrize("value", [None, [], {}, "__import__('os')", 10**12, float("inf")])
@pytest.mark.parametrize("name", MODEL_ARGS)
def test_no_option_takes_just_anything(name: str, value: object) -> None:
    assert not MODEL_ARGS[name](value)


def test_a_config_that_is_no_json(options: Options, weights_file: Path) -> None:
    weights_file.with_name("config.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match="is no JSON"):
        choose_weights(options(backbone="test_resnet"), str(weights_file), None)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet51", "Did you mean .*resnet50"),
        ("resnet50.zz", "resnet50.a1_in1k"),
        ("tv_resnet50", "resnet50.tv_in1k"),
        ("hf-hub:timm/resnet50", "no name of a backbone"),
        ("local-dir:/tmp/x", "no name of a backbone"),
        ("/tmp/x", "no name of a backbone"),
        ("x" * 10_000, "no name of a backbone"),
    ],
)
def test_unknown_backbones(options: Options, name: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        choose_weights(options(), None, name)


@pytest.mark.parametrize("name", ["convnextv2_small", "gcvit_tiny.in1k"])
def test_a_backbone_that_the_hub_lacks(options: Options, name: str) -> None:
    with pytest.raises(WeightsError, match=f"no weights for {name}"):
        choose_weights(options(backbone=name), None, None)


def test_files_that_are_none(options: Options, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "torn.safetensors").write_bytes(b"\x08")
    for name, told in {
        "absent.pth": "no such file",
        "empty": "without model.safetensors",
        "notes.txt": "those end in .safetensors, .pth, .pt, .bin",
        "torn.safetensors": "no readable safetensors",
    }.items():
        with pytest.raises(FinetuneError, match=told):
            choose_weights(options(), str(tmp_path / name), None)
