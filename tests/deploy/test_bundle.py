from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from finetune.data.input_spec import InputSpec
from finetune.deploy.bundle import Classifier, load_bundle, save_bundle
from finetune.errors import RunError
from finetune.model.backbone import load_backbone, local_dir_config
from finetune.model.weights import choose_weights
from finetune.recipe.schema import ModelOptions

CLASSES = ("ant", "bee\n", "=wasp")


@pytest.fixture
def bundle(tmp_path: Path) -> tuple[Path, Classifier]:
    options = ModelOptions(backbone="test_resnet", pretrained=False)
    loaded = load_backbone(choose_weights(options, "none", None), len(CLASSES), seed=3)
    spec = InputSpec(size=48, fit="squash")
    config = local_dir_config(loaded, len(CLASSES), spec, CLASSES)
    classifier = Classifier(loaded.model, spec, CLASSES, 1.5, "ant", 10**6, "float32", config)
    save_bundle(tmp_path / "model", classifier)
    return tmp_path / "model", classifier


def test_a_bundle_gives_the_classifier_back(bundle: tuple[Path, Classifier]) -> None:
    folder, classifier = bundle
    again = load_bundle(folder)
    assert (again.spec, again.classes, again.temperature) == (
        classifier.spec,
        classifier.classes,
        classifier.temperature,
    )
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(again.model(images), classifier.model.eval()(images))
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def damage_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def damage_classes(folder: Path) -> None:
    path = folder / "preprocessing.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["classes"] = settings["classes"][:2]
    path.write_text(json.dumps(settings), encoding="utf-8")


def remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize("harm", [damage_weights, damage_classes, remove_config])
def test_a_damaged_bundle_is_told(
    bundle: tuple[Path, Classifier], harm: Callable[[Path], None]
) -> None:
    harm(bundle[0])
    with pytest.raises(RunError, match="can't be loaded"):
        load_bundle(bundle[0])


def test_code_in_a_configuration_is_not_run(bundle: tuple[Path, Classifier]) -> None:
    path = bundle[0] / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model_args"] = {"act_layer": "os.system"}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(RunError, match="act_layer"):
        load_bundle(bundle[0])


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="--resume"):
        load_bundle(tmp_path)
    with pytest.raises(RunError, match="does not exist"):
        load_bundle(tmp_path / "gone")


def test_a_colleague_can_read_a_bundle(bundle: tuple[Path, Classifier]) -> None:
    folder, _ = bundle
    plain = folder.parent / "plain"
    plain.touch()
    for path in folder.iterdir():
        assert path.stat().st_mode == plain.stat().st_mode, path.name
