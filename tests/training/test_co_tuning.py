"""The classifier of the pretraining learns on beside the new one, and nothing else sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import finetune
from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.errors import RecipeError
from finetune.features.cutting import Uncuttable
from finetune.model.head import FeatureTap, SourceHead
from finetune.model.stages import stages_of
from finetune.recipe.schema import GradientPhase, Recipe
from finetune.training import binding
from finetune.training.co_tuning import CoTuning, relation_of
from finetune.training.criterion import Criterion
from finetune.training.freeze import FreezePlan
from finetune.training.mixing import Targets
from finetune.training.optimisers import build_optimizer
from finetune.training.passage import Forward
from finetune.training.stepping import Stepper
from finetune.training.trainee import Trainee

CPU = torch.device("cpu")
BASE = ["input.size=32", "data.workers=0", "precision=float32", "evaluate.bootstrap=100"]
NETWORKS = ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"]
PLAIN = Criterion(None, None, 0.0)


def recipe_of(train: str = "last_1", **more: object) -> Recipe:
    phase = {"name": "tune", "train": train, "epochs": 2, "batch_size": 8, "co_tuning": 2.3, **more}
    model = {"backbone": "test_resnet", "dropout": 0.3}
    return Recipe.model_validate({"name": "own", "model": model, "phases": [phase]})


def co_tuning_of(classes: int, width: int, strength: float = 2.3) -> CoTuning:
    torch.manual_seed(5)
    relation = torch.rand(classes, 20).softmax(1)
    return CoTuning(nn.Linear(width, 20), relation, strength)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(photos: Callable[..., Path]) -> Path:
    return photos({"red": 24, "green": 20})


def weights_of(folder: Path, classes: int, name: str = "test_resnet") -> Path:
    torch.manual_seed(3)
    path = folder / f"{name}-{classes}.safetensors"
    save_file(timm.create_model(name, num_classes=classes).state_dict(), path)
    return path


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 12), st.integers(0, 99))
def test_the_relation_is_the_mean_of_the_source_probabilities(
    labels: list[int], source_classes: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(len(labels), 5)).astype(np.float32)
    weight = generator.normal(0, 3, size=(source_classes, 5)).astype(np.float32)
    bias = generator.normal(size=source_classes).astype(np.float32)
    head = SourceHead(torch.from_numpy(weight), torch.from_numpy(bias))
    found = relation_of(features, np.array(labels), 5, head).numpy()
    raised = np.exp(features @ weight.T.astype(np.float64) + bias)
    seen = raised / raised.sum(1, keepdims=True)
    for label in range(5):  # of the last one there never is an image
        own = seen[np.array(labels) == label]
        assert np.allclose(found[label], (own if len(own) else seen).mean(0), atol=1e-6)
    assert np.allclose(found.sum(1), 1, atol=1e-5)


def test_many_images_are_seen_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(1).normal(size=(23, 4)).astype(np.float32)
    head = SourceHead(torch.randn(6, 4), torch.randn(6))
    labels = np.arange(23) % 3
    whole = relation_of(features, labels, 3, head)
    monkeypatch.setattr("finetune.training.co_tuning._ROWS", 5)
    assert torch.allclose(relation_of(features, labels, 3, head), whole, atol=1e-7)


@pytest.mark.parametrize("share", [None, 0.3])
def test_the_loss_is_that_of_both_heads(share: float | None) -> None:
    beside = co_tuning_of(3, 4)
    logits, labels, others = torch.randn(5, 23), torch.tensor([0, 1, 2, 0, 1]), torch.arange(5) % 3
    targets = Targets(labels) if share is None else Targets(labels, others, share)
    found = targets.losses(beside.beside(Criterion(None, None, 0.1)), logits)
    mixture = [(labels, 1.0)] if share is None else [(labels, share), (others, 1 - share)]
    for image in range(5):
        expected = 0.0
        for own, part in mixture:
            label = int(own[image])
            wanted = torch.full((3,), 0.1 / 3)
            wanted[label] += 0.9
            target = -(wanted * logits[image, :3].log_softmax(0)).sum()
            source = -(beside.relation[label] * logits[image, 3:].log_softmax(0)).sum()
            expected += part * float(target + 2.3 * source)
        assert float(found[image]) == pytest.approx(expected, rel=1e-5)


def gradients(model: nn.Module, logits: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("depth", [None, 1, -2])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_cut_network_computes_what_the_whole_one_does(name: str, depth: int | None) -> None:
    """In training too: dropout acts in the new head, and norms learn, as they would."""
    from finetune.features.cutting import cut

    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3, drop_rate=0.4)
    stage = None if depth is None else stages_of(model)[depth].name
    FreezePlan.of(model, stage or "all", "train").apply(model)
    size = model.pretrained_cfg["input_size"][1]
    images = torch.randn(4, 3, size, size)
    inputs = images if stage is None else cut(model, stage, size).prefix(images).detach()
    source = nn.Linear(model.num_features, 20)
    beside = CoTuning(source, torch.zeros(3, 20), 1.0)
    both = beside.both_heads(model, stage, size)
    torch.manual_seed(1)
    whole = gradients(model, model(images))
    torch.manual_seed(1)
    ours = gradients(model, both(inputs)[:, :3])
    learning = {n: g for n, g in whole.items() if n in ours}
    assert ours.keys() == {n for n, p in model.named_parameters() if p.requires_grad}
    assert all(torch.allclose(ours[n], g, rtol=1e-3, atol=1e-5) for n, g in learning.items())
    model.eval()
    with torch.no_grad(), FeatureTap(model) as tap:
        assert torch.allclose(both(inputs)[:, :3], model(images), rtol=1e-4, atol=1e-5)
        assert torch.allclose(both(inputs)[:, 3:], source(tap.features), rtol=1e-4, atol=1e-5)


def test_the_source_head_sees_no_dropout() -> None:
    model = timm.create_model("test_resnet", num_classes=3, drop_rate=0.9)
    FreezePlan.of(model, "all", "frozen").apply(model)
    both = co_tuning_of(3, model.num_features).both_heads(model, None, 32)
    images = torch.randn(4, 3, 32, 32)
    first, second = both(images), both(images)
    assert first[:, 3:].equal(second[:, 3:])
    assert not first[:, :3].equal(second[:, :3])


def stepper_of(**options: object) -> tuple[nn.Module, CoTuning, Stepper]:
    phase = recipe_of(**options).phases[0]
    assert isinstance(phase, GradientPhase)
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3)
    beside = co_tuning_of(3, model.num_features, phase.co_tuning)
    forward = Forward(lambda images: images, beside.both_heads(model, None, 32))
    trainee = Trainee.of(model, phase, 0)
    stepper = Stepper(
        trainee, forward, PLAIN, CPU, "float32", lambda _: 1.0, "", print, None, beside
    )
    return model, beside, stepper


@pytest.mark.parametrize("l2_sp", [0.0, 0.01])
def test_the_source_head_learns_as_the_last_stage_of_the_backbone(l2_sp: float) -> None:
    options = {"lr_decay": 0.5, "l2_sp": l2_sp, "optimizer": {"lr": 0.1, "weight_decay": 0.02}}
    _, beside, stepper = stepper_of(**options)
    groups = {id(p): g for g in stepper.optimizer.param_groups for p in g["params"]}
    weight, bias = (groups[id(p)] for p in (beside.source.weight, beside.source.bias))
    assert weight["lr"] == bias["lr"] == 0.05
    assert weight["weight_decay"] == (0.0 if l2_sp else 0.02)
    assert bias["weight_decay"] == 0.0


def test_no_source_head_has_no_group() -> None:
    model, _, stepper = stepper_of()
    plan = FreezePlan.of(model, "last_1", "frozen")
    groups = build_optimizer(model, plan, stepper.phase).param_groups
    assert len(groups) == len(stepper.optimizer.param_groups) - 2


def step(stepper: Stepper, images: int = 6, number: int = 0) -> None:
    from finetune.data.loaders import Batch

    torch.manual_seed(2)
    pictures = torch.randn(images, 3, 32, 32)
    batch = Batch(pictures, torch.arange(images) % 3, torch.arange(images), ("",) * images)
    stepper.add(batch, images, number)
    stepper.step(number)


def test_the_source_head_is_part_of_the_gradient_that_is_clipped() -> None:
    sgd = {"name": "sgd", "lr": 0.05, "momentum": 0.0, "weight_decay": 0.0}
    model, beside, stepper = stepper_of(optimizer=sgd, clip_norm=0.5, co_tuning=50.0)
    learning = [p for p in (*model.parameters(), *beside.source.parameters()) if p.requires_grad]
    before = [p.detach().clone() for p in learning]
    step(stepper)
    moved = [(p.detach() - was).norm() for p, was in zip(learning, before, strict=True)]
    assert float(torch.stack(moved).norm()) == pytest.approx(0.05 * 0.5, rel=0.01)
    assert float(torch.stack(moved[-2:]).norm()) > 0


def test_a_batch_in_parts_has_the_gradient_of_the_whole() -> None:
    found = []
    for most in (6, 2):
        model, beside, stepper = stepper_of(clip_norm=None)
        stepper.most = most
        stepper.optimizer.step = lambda: None  # type: ignore[method-assign]
        stepper.optimizer.zero_grad = lambda: None  # type: ignore[method-assign]
        step(stepper)
        learning = [*model.layer4.parameters(), *beside.source.parameters()]
        found.append([p.grad for p in learning])
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(*found, strict=True))


def weights_in(run: finetune.Run) -> dict[str, torch.Tensor]:
    return load_file(run.path / "model" / "model.safetensors")


def trained(data: Path, out: Path, recipe: Recipe, weights: Path, *more: str) -> finetune.Run:
    return finetune.train(
        data, recipe, overrides=[*BASE, *more], weights=weights, out=out, reporter=Silent()
    )


def test_what_ships_is_the_new_head_alone(data: Path, tmp_path: Path) -> None:
    weights = weights_of(tmp_path, 1000)
    runs = [
        trained(data, tmp_path / f"{strength}", recipe_of(co_tuning=strength), weights)
        for strength in (0.0, 2.3)
    ]
    plain, beside = (weights_in(run) for run in runs)
    assert {n: t.shape for n, t in plain.items()} == {n: t.shape for n, t in beside.items()}
    moved = {name for name, tensor in plain.items() if not tensor.equal(beside[name])}
    assert {name.split(".")[0] for name in moved} == {"layer4", "fc"}
    model = timm.create_model(f"local-dir:{runs[1].path / 'model'}", pretrained=True)
    assert model.fc.out_features == 2
    assert runs[1].metrics["n"] > 0


@pytest.mark.parametrize(
    ("train", "more"),
    [
        ("last_1", {"mixup": 0.5}),
        ("layer3", {"batch_norm": "train", "swa": {"epochs": 1}}),
        ("last_1", {"ema": {"decay": 0.9}, "interpolate": True, "early_stopping": {}}),
    ],
    ids=["mixup", "swa", "mixed"],
)
def test_the_same_is_learnt_with_the_store_and_without(
    data: Path, tmp_path: Path, train: str, more: dict[str, object]
) -> None:
    recipe, weights = recipe_of(train, **more), weights_of(tmp_path, 1000)
    stored, live = (
        weights_in(trained(data, tmp_path / use, recipe, weights, f"store.use={use}"))
        for use in ("true", "false")
    )
    start = load_file(weights)
    for name, tensor in stored.items():
        if name.startswith("layer4") and name.endswith("weight"):
            gone = float((tensor - start[name]).norm())
            assert float((tensor - live[name]).norm()) < 0.02 * gone, name


@pytest.mark.parametrize("options", [{"race": [1e-4, 1e-3]}, None], ids=["race", "lr-find"])
def test_rates_are_chosen_with_the_source_head(
    data: Path, tmp_path: Path, options: dict[str, object] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    made = CoTuning.both_heads

    def counted(self: CoTuning, *given: object) -> nn.Module:
        begun.append(len(self.relation))
        return made(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(CoTuning, "both_heads", counted)
    weights = weights_of(tmp_path, 1000)
    if options is None:
        finetune.lr_find(data, recipe_of(), overrides=BASE, weights=weights, reporter=Silent())
        assert begun == [2]
    else:
        recipe = recipe_of(optimizer={"lr": options}, epochs=6)
        trained(data, tmp_path / "run", recipe, weights)
        assert len(begun) > 2


def test_every_fit_relates_its_own_images(data: Path, tmp_path: Path) -> None:
    planned = api.plan(data, recipe_of(), overrides=BASE, weights=weights_of(tmp_path, 1000))
    setting = setting_of(planned, None, Silent())
    phase, train = setting.recipe.phases[0], setting.manifest.part("train")
    assert isinstance(phase, GradientPhase)
    made = [CoTuning.of(setting, items, phase) for items in (train, train[:9], train)]
    whole, some, again = (beside for beside in made if beside is not None)
    assert whole.relation.shape == (2, 1000)
    assert whole.relation.equal(again.relation)
    assert not whole.relation.equal(some.relation)
    assert whole.source.weight.equal(
        load_file(tmp_path / "test_resnet-1000.safetensors")["fc.weight"]
    )
    assert CoTuning.of(setting, train, phase.model_copy(update={"co_tuning": 0.0})) is None


def refusal(data: Path, weights: Path | str, recipe: Recipe | None = None) -> str:
    with pytest.raises(RecipeError) as refused:
        api.plan(data, recipe or recipe_of(), overrides=BASE, weights=weights, reporter=Silent())
    return str(refused.value)


def test_weights_without_a_source_head_are_refused(data: Path, tmp_path: Path) -> None:
    headless = tmp_path / "headless.safetensors"
    tensors = load_file(weights_of(tmp_path, 1000))
    save_file({n: t for n, t in tensors.items() if not n.startswith("fc.")}, headless)
    for weights in ("none", headless):
        told = refusal(data, weights)
        assert "phases.tune.co_tuning: there is no classifier" in told
    assert "learnt on 37 classes, fewer than 1,000" in refusal(data, weights_of(tmp_path, 37))


def test_a_network_that_cannot_be_cut_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Uncuttable("it can't be traced: by nobody")

    weights = weights_of(tmp_path, 1000)
    monkeypatch.setattr(binding, "cut", refuse)
    assert "test_resnet can't be cut before its classifier (it can't be" in refusal(data, weights)
    plain = recipe_of(co_tuning=0.0)
    api.plan(data, plain, overrides=BASE, weights=weights, reporter=Silent())


@pytest.mark.slow
@pytest.mark.parametrize("train", ["last_1", "all"])
def test_what_is_compiled_learns_the_same(data: Path, tmp_path: Path, train: str) -> None:
    weights, name = weights_of(tmp_path, 1000), "layer4.0.conv1.weight"
    plain, compiled = (
        weights_in(
            trained(
                data,
                tmp_path / given,
                recipe_of(train),
                weights,
                f"compile={given}",
                "model.dropout=0",  # a compiled one draws otherwise
            )
        )[name]
        for given in ("false", "true")
    )
    gone = float((plain - load_file(weights)[name]).norm())
    assert float((plain - compiled).norm()) < 0.05 * gone
