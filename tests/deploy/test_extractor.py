from __future__ import annotations

import pytest
import torch

from finetune.data.input_spec import InputSpec
from finetune.deploy.bundle import Classifier
from finetune.deploy.extractor import extractor
from finetune.errors import WeightsError
from finetune.model.backbone import load_backbone, local_dir_config
from finetune.model.head import FeatureTap
from finetune.model.stages import stages_of
from finetune.model.weights import choose_weights
from finetune.recipe.schema import ModelOptions

CLASSES = ("ant", "bee", "wasp")


def trained(backbone: str, size: int) -> Classifier:
    """A classifier whose every tensor, statistics too, is unlike that of a new network."""
    options = ModelOptions(backbone=backbone, pretrained=False)
    loaded = load_backbone(choose_weights(options, "none", None), len(CLASSES), seed=3, size=size)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in loaded.model.state_dict().values():
            if value.is_floating_point():
                value.add_(0.01 * torch.rand(value.shape, generator=generator))
    spec = InputSpec(size=size)
    config = local_dir_config(loaded, len(CLASSES), spec, CLASSES)
    return Classifier(loaded.model, spec, CLASSES, 1.0, "ant", 10**6, "float32", config)


def pictures(size: int) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


FAMILIES = [
    ("test_resnet", 64),
    ("mobilenetv2_035", 64),
    ("mobilenetv3_small_050", 64),
    ("test_convnext", 64),
    ("test_efficientnet", 64),
    ("test_vit", 160),
    ("test_vit", 96),  # a built-in size that is not timm's own
]


@pytest.mark.parametrize(("backbone", "size"), FAMILIES)
def test_the_last_map_is_that_of_the_trained_body(
    backbone: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = trained(backbone, size)
    caught: list[torch.Tensor] = []
    *_, last, _ = stages_of(classifier.model)
    ends = classifier.model.get_submodule(last.output)
    hook = ends.register_forward_hook(lambda _, __, out: caught.append(out))
    body = extractor(classifier, None, features_only=True)
    assert not any(module.training for module in body.modules())
    assert not caplog.records
    images = pictures(size).double()  # the two lie differently in memory and round differently
    with torch.no_grad():
        classifier.model.double()(images)
        hook.remove()
        maps = body.double()(images)
    (expected,) = caught
    if expected.ndim == 3:  # tokens, the class token first
        side = maps[-1].shape[-1]
        expected = expected[:, -(side**2) :].transpose(1, 2).unflatten(2, (side, side))
    torch.testing.assert_close(maps[-1], expected)
    assert [each.shape[1] for each in maps] == body.feature_info.channels()


@pytest.mark.parametrize(("backbone", "size"), FAMILIES)
def test_the_vectors_are_what_the_classifier_takes(backbone: str, size: int) -> None:
    classifier = trained(backbone, size)
    body = extractor(classifier, None, features_only=False)
    with torch.no_grad(), FeatureTap(classifier.model) as tap:
        classifier.model(pictures(size))
        assert torch.equal(body(pictures(size)), tap.features)


@pytest.mark.parametrize("features_only", [True, False])
def test_it_trains_and_leaves_the_classifier_alone(features_only: bool) -> None:
    classifier = trained("test_resnet", 64)
    before = {name: value.clone() for name, value in classifier.model.state_dict().items()}
    body = extractor(classifier, None, features_only=features_only).train()
    out = body(pictures(64))
    (out[-1] if features_only else out).square().mean().backward()
    assert all(parameter.grad is not None for parameter in body.parameters())
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.sub_(parameter.grad)
    for name, value in classifier.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_levels_are_chosen_by_index() -> None:
    body = extractor(trained("test_resnet", 64), (1, -1), features_only=True)
    with torch.no_grad():
        assert [each.shape[-1] for each in body(pictures(64))] == [64 // n for n in (4, 32)]


def test_levels_that_are_not_there_are_told() -> None:
    with pytest.raises(WeightsError, match="test_resnet") as error:
        extractor(trained("test_resnet", 64), (9,), features_only=True)
    assert "features_only=False" in error.value.mend


def test_a_tensor_that_timm_would_not_load_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timm.models._builder.load_pretrained", lambda *_, **__: None)
    with pytest.raises(WeightsError, match="would not be the trained one"):
        extractor(trained("test_resnet", 64), None, features_only=True)
