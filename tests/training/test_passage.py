"""However images reach what trains, the same is learnt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import finetune
from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.data import images as data_images
from finetune.errors import DeviceError, RecipeError
from finetune.features import body
from finetune.features.cutting import Uncuttable
from finetune.features.views import StoredBatch
from finetune.model.precision import native_bfloat16
from finetune.recipe.schema import Recipe
from finetune.training import passage as passages
from finetune.training.passage import live_forward, passage_of
from finetune.training.setting import Fit, Setting
from finetune.training.trainee import Trainee

BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]


class Listening(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(photos: Callable[..., Path]) -> Path:
    return photos({"red": 16, "green": 16})


def recipe_of(train: str, **more: object) -> Recipe:
    phase = {"name": "top", "train": train, "epochs": 3, "batch_size": 8, **more}
    return Recipe.model_validate({"name": "own", "phases": [phase]})


def set_up(data: Path, recipe: Recipe, *more: str) -> tuple[Setting, Trainee, Fit]:
    planned = api.plan(data, recipe, overrides=[*BASE, *more], weights="none", reporter=Silent())
    setting = setting_of(planned, None, Listening())
    trainee = Trainee.of(setting.pristine, setting.recipe.phases[0], 0)
    train, val = (setting.manifest.part(name) for name in ("train", "val"))
    return setting, trainee, Fit("main", train, val, val)


def made(data: Path, recipe: Recipe, *more: str):
    setting, trainee, fit = set_up(data, recipe, *more)
    passage = passage_of(setting, fit, trainee)
    return setting, trainee.model, fit, passage


def gradients(model: nn.Module, forward, batch) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(1)
    nn.functional.cross_entropy(forward(batch.inputs), batch.labels).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("train", ["head", "last_1", "layer2"])
@pytest.mark.parametrize("batch_norm", ["train", "frozen"])
def test_gradients_are_those_of_the_whole_network(data: Path, train: str, batch_norm: str) -> None:
    recipe = recipe_of(train, batch_norm=batch_norm)
    setting, trainee, fit = set_up(data, recipe, "model.dropout=0.4")
    model = trainee.model
    stored = passage_of(setting, fit, trainee)
    live = passages.live_loader(setting, fit.train, trainee)
    cut = passages.halves_where_training_begins(setting, trainee)
    for kept, pictures in zip(stored.loader, live, strict=True):
        assert isinstance(kept, StoredBatch)
        assert kept.labels.equal(pictures.labels)
        ours = gradients(model, stored.pass_through, kept)
        whole = gradients(model, live_forward(setting, model, None), pictures)
        halved = gradients(model, live_forward(setting, model, cut), pictures)
        assert ours
        assert ours.keys() == whole.keys() == halved.keys()
        for name, gradient in whole.items():
            assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-5), name
            assert torch.allclose(halved[name], gradient, rtol=1e-3, atol=1e-5), name


def movement(
    weights: dict[str, torch.Tensor], start: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, float]:
    """How the weights have moved, all in a row, and how far that is."""
    moved = torch.cat([(weights[n].float() - start[n].float()).flatten() for n in sorted(start)])
    return moved, float(moved.norm())


PRECISIONS = [
    ("float32", 0.05),
    pytest.param(
        "bfloat16",
        0.4,
        marks=pytest.mark.skipif(
            not native_bfloat16(torch.device("cpu")), reason="no native bfloat16"
        ),
    ),
]


@pytest.mark.parametrize(("precision", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("train", ["head", "last_1", "all"])
def test_a_run_ends_with_the_same_weights_with_the_store_and_without(
    data: Path, tmp_path: Path, train: str, precision: str, tolerance: float
) -> None:
    start = set_up(data, recipe_of(train))[1].model.state_dict()

    def weights(name: str, *more: str) -> dict[str, torch.Tensor]:
        run = finetune.train(
            data,
            recipe_of(train),
            overrides=[*BASE, "augment.views=2", f"precision={precision}", *more],
            weights="none",
            out=tmp_path / name,
            reporter=Silent(),
        )
        return load_file(run.path / "model" / "model.safetensors")

    stored, far = movement(weights("stored"), start)
    assert far > 0.01
    for live in (weights("live", "store.use=false"), weights("no-room", "store.gib=1e-9")):
        assert float((movement(live, start)[0] - stored).norm()) < tolerance * far


OPTIONS = [
    {"sampling": "balanced", "epoch_images": 20, "mixup": 0.5, "epochs": 2},
    {"loss": {"class_weights": "balanced"}, "mixup": 1.0, "ema": {"decay": 0.9}},
    {"batch_norm": "train", "swa": {"epochs": 2}, "loss": {"logit_adjustment": 1.0}},
    {"l2_sp": 0.5, "accumulate": 2, "batch_size": 4},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["turns", "weights", "mean", "anchor"])
def test_options_do_the_same_with_the_store_and_without(
    photos: Callable[..., Path], tmp_path: Path, options: dict[str, object]
) -> None:
    data = photos({"red": 30, "green": 6})
    recipe = recipe_of("last_1", **options)
    start = set_up(data, recipe)[1].model.state_dict()

    def weights(name: str, *more: str) -> dict[str, torch.Tensor]:
        run = finetune.train(
            data, recipe, overrides=[*BASE, "augment.views=2", *more], weights="none",
            out=tmp_path / name, reporter=Silent(),
        )  # fmt: skip
        return load_file(run.path / "model" / "model.safetensors")

    stored, far = movement(weights("stored"), start)
    assert far > 0.01
    live = movement(weights("live", "store.use=false"), start)[0]
    assert float((live - stored).norm()) < 0.05 * far


def test_turns_show_views_that_differ_as_long_as_there_are_others(data: Path) -> None:
    recipe = recipe_of("last_1", sampling="balanced", epochs=2)
    setting, trainee, fit = set_up(data, recipe, "augment.views=2")
    of = {c: [item for item in fit.train if item.label == c] for c in ("green", "red")}
    few = Fit("main", [*of["green"][:2], *of["red"][:8]], fit.judged, fit.monitor)
    stored = passage_of(setting, few, trainee)
    live = passages.live_loader(setting, few.train, trainee)
    rare, shown = setting.manifest.classes.index("green"), []
    for _ in range(2):
        for kept, pictures in zip(stored.loader, live, strict=True):
            assert kept.labels.equal(pictures.labels)
            shown += [row.numpy().tobytes() for row in pictures.images[pictures.labels == rare]]
    assert len(shown) == len(set(shown)) == 10  # each image five times, no two showings alike


def test_boxes_are_cut_from_pictures_alone(data: Path) -> None:
    with pytest.raises(RecipeError, match=r"phases\.top\.cutmix: cuts boxes from pictures"):
        set_up(data, recipe_of("last_1", cutmix=1.0))
    set_up(data, recipe_of("all", cutmix=1.0))


def test_epochs_walk_over_the_views(data: Path) -> None:
    _, _, fit, passage = made(data, recipe_of("last_1", epochs=5), "augment.views=2")
    epochs = []
    for _ in range(5):
        batches = list(passage.loader)
        labels = torch.cat([batch.labels for batch in batches])
        assert len(labels) == len(fit.train)
        sums = torch.cat([batch.crossing.flatten(1).double().sum(1) for batch in batches])
        epochs.append(np.sort(sums.numpy()))
    assert np.array_equal(epochs[0], epochs[2])
    assert np.array_equal(epochs[1], epochs[3])
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_phase_of_few_epochs_stores_no_view_that_it_does_not_show(data: Path) -> None:
    for epochs, views in ((1, 1), (3, 3), (20, 8)):
        setting, trainee, fit = set_up(data, recipe_of("last_1", epochs=epochs))
        phase = setting.recipe.phases[0]
        halves = passages.halves_where_training_begins(setting, trainee)
        part = passages.StoredPart.of(setting, trainee.model, halves)
        assert len(part._shown(fit.train, phase)) == views * len(fit.train)


def test_scores_are_those_of_the_whole_network(data: Path) -> None:
    setting, model, fit, passage = made(data, recipe_of("last_1"))
    with torch.no_grad():
        model.layer4[0].conv1.weight.mul_(1.1)  # trained since
    assert np.allclose(passage.logits(fit.judged), setting.logits(model, fit.judged), atol=1e-4)
    assert passage.logits([]).shape == (0, 2)


def test_the_second_time_no_image_is_passed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk() -> None:
        _, _, fit, passage = made(data, recipe_of("last_1"))
        list(passage.loader)
        passage.logits(fit.judged)

    walk()

    def fail(*_: object) -> None:
        raise AssertionError("an image was decoded")

    with monkeypatch.context() as patch:
        patch.setattr(data_images, "decode", fail)
        setting, trainee, fit = set_up_again(data)
        passage = passage_of(setting, fit, trainee)
        list(passage.loader)
        passage.logits(fit.judged)


def set_up_again(data: Path):
    """A setting whose number format needs no images looked at: float32."""
    return set_up(data, recipe_of("last_1"))


def test_pictures_are_decoded_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting, trainee, fit = set_up(data, recipe_of("all"))
    decoded: list[Path] = []
    plain = data_images.decode

    def counting(path: Path, max_pixels: int):
        decoded.append(path)
        return plain(path, max_pixels)

    monkeypatch.setattr(data_images, "decode", counting)
    passage = passage_of(setting, fit, trainee)
    kept = [batch.images for _ in range(3) for batch in passage.loader]
    passage.logits(fit.monitor)
    learnt = [setting.manifest.file(item) for item in fit.train]
    scored = [setting.manifest.file(item) for item in fit.monitor]
    assert sorted(decoded) == sorted([*learnt, *scored])
    off, trainee, _ = set_up(data, recipe_of("all"), "store.use=false")
    passage = passage_of(off, fit, trainee)
    fresh = [batch.images for _ in range(3) for batch in passage.loader]
    assert all(one.equal(other) for one, other in zip(kept, fresh, strict=True))


def test_frozen_stages_keep_nothing_for_the_backward_pass(data: Path) -> None:
    _, model, _, passage = made(data, recipe_of("last_1"), "store.use=false")
    passed: list[str] = []
    for name in ("layer1", "layer4"):
        module = model.get_submodule(name)
        module.register_forward_hook(lambda *_, name=name: passed.append(name))
    passage.pass_through(next(iter(passage.loader)).inputs).sum().backward()
    assert passed == ["layer4"]  # the frozen stages were a copy's


def test_what_has_no_room_is_told_once(data: Path) -> None:
    setting, trainee, fit = set_up(data, recipe_of("last_1"), "store.gib=1e-6")
    for _ in range(2):
        passage = passage_of(setting, fit, trainee)
        assert not isinstance(next(iter(passage.loader)), StoredBatch)
    assert [line for line in setting.reporter.said if "stages before layer4" in line] == [
        "The store has no room for 0 MiB of what the stages before layer4 make of the images: "
        "they are run in every epoch."
    ]


def test_who_wants_no_store_is_not_told_of_its_room(data: Path) -> None:
    setting, trainee, fit = set_up(data, recipe_of("last_1"), "store.use=false")
    passage_of(setting, fit, trainee)
    assert setting.reporter.said == []


def test_a_network_that_cannot_be_cut_is_passed_whole(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Uncuttable("for a test")

    setting, trainee, fit = set_up(data, recipe_of("last_1"))
    monkeypatch.setattr(body, "cut", refuse)
    passage = passage_of(setting, fit, trainee)
    assert setting.reporter.said == [
        "This network can't be cut before layer4 (for a test): its frozen stages are run in "
        "every epoch."
    ]
    batch = next(iter(passage.loader))
    trainee.model.eval()
    pixels = passages.normalise(batch.images, setting.spec, setting.device)
    assert passage.pass_through(batch.inputs).equal(trainee.model(pixels))


def test_a_head_is_solved_on_several_views(data: Path, tmp_path: Path) -> None:
    phase = {"name": "probe", "train": "head", "solver": "lbfgs", "views": 3}
    recipe = Recipe.model_validate({"name": "own", "phases": [phase]})

    def run(name: str, *more: str) -> dict[str, torch.Tensor]:
        trained = finetune.train(
            data, recipe, overrides=[*BASE, *more], weights="none", out=tmp_path / name,
            reporter=Silent(),
        )  # fmt: skip
        return load_file(trained.path / "model" / "model.safetensors")

    several, live = run("several"), run("live", "store.use=false")
    one = run("one", "phases.probe.views=1")
    assert torch.allclose(several["fc.weight"], live["fc.weight"], atol=1e-3)
    assert not torch.allclose(several["fc.weight"], one["fc.weight"], atol=1e-3)
    with pytest.raises(RecipeError, match="3 views would all be the same"):
        run("none", "augment.policy=none")


@pytest.mark.slow
@pytest.mark.parametrize("train", ["last_1", "all"])
def test_what_is_compiled_learns_the_same(data: Path, tmp_path: Path, train: str) -> None:
    def weights(compiled: bool) -> dict[str, torch.Tensor]:
        run = finetune.train(
            data,
            recipe_of(train),
            overrides=[*BASE, f"compile={str(compiled).lower()}"],
            weights="none",
            out=tmp_path / str(compiled),
            reporter=Silent(),
        )
        return load_file(run.path / "model" / "model.safetensors")

    start = set_up(data, recipe_of(train))[1].model.state_dict()
    (plain, far), (compiled, _) = (movement(weights(each), start) for each in (False, True))
    assert float((compiled - plain).norm()) < 0.05 * far


def test_a_compiler_that_fails_is_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def broken(_: torch.Tensor) -> torch.Tensor:
        raise TorchDynamoException("No working compiler found\nand more")

    monkeypatch.setattr(torch, "compile", lambda _: broken)
    _, _, _, passage = made(data, recipe_of("all"), "compile=true")
    with pytest.raises(DeviceError, match="No working compiler found") as caught:
        passage.pass_through(next(iter(passage.loader)).inputs)
    assert "compile=false" in caught.value.mend


def test_the_last_epochs_answers_are_not_asked_for_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    plain = Setting.logits

    def counting(self: Setting, model: nn.Module, items, *rest, **more):
        asked.append(len(items))
        return plain(self, model, items, *rest, **more)

    monkeypatch.setattr(Setting, "logits", counting)

    def passes(name: str, **more: object) -> int:
        asked.clear()
        finetune.train(
            data, recipe_of("all", epochs=2, **more), overrides=BASE, weights="none",
            out=tmp_path / name, reporter=Silent(),
        )  # fmt: skip
        return len(asked)

    assert passes("last") == 2
    assert passes("best", early_stopping={"patience": 2}) == 3  # of the weights that were restored


def test_a_store_that_cannot_be_written_to_is_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, trainee, fit = set_up(data, recipe_of("all"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("finetune.features.store.os.access", lambda *_: False)
    passage = passage_of(setting, fit, trainee)
    assert len(list(passage.loader)) > 0
    place = tmp_path / "file" / "features"
    assert setting.reporter.said == [
        f"The store can't be written to ({place}) for the decoded pictures: each epoch decodes "
        "them."
    ]
