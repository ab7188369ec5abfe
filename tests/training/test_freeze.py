from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.errors import FrozenTensorsMoved, RecipeError
from finetune.model.fingerprint import digest
from finetune.recipe.schema import GradientPhase
from finetune.training.freeze import FreezePlan, freeze_table, prove_frozen
from finetune.training.optimisers import build_optimizer, stage_rates

FAMILIES = ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"]


def network(name: str = "test_resnet") -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model(name, num_classes=3, drop_path_rate=0.2, drop_rate=0.2)


def train_a_little(model: nn.Module, plan: FreezePlan, steps: int = 3) -> None:
    phase = GradientPhase.model_validate(
        {"name": "p", "train": "all", "steps": steps, "optimizer": {"name": "sgd", "lr": 0.1}}
    )
    plan.apply(model)
    optimizer = build_optimizer(model, plan, phase)
    for step in range(steps):
        model.train()
        plan.set_modes(model)
        images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(step)) * 3 + 1
        with torch.random.fork_rng():
            torch.manual_seed(step)  # unseeded, drop-path may skip a block in every step
            model(images).logsumexp(1).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("train", ["head", "last_1", "last_2", "all"])
@pytest.mark.parametrize("batch_norm", ["train", "frozen", "locked"])
def test_frozen_tensors_do_not_move_and_the_others_do(
    name: str, train: str, batch_norm: str
) -> None:
    model = network(name)
    plan = FreezePlan.of(model, train, batch_norm)
    before = digest(plan.frozen_tensors(model))
    frozen = {key for key, _ in plan.frozen_tensors(model)}
    old = {key: value.clone() for key, value in model.state_dict().items()}
    train_a_little(model, plan)
    assert prove_frozen(plan, model, before) == before
    for key, value in model.named_parameters():
        moved = not torch.equal(value, old[key])
        assert moved != (key in frozen), key


@pytest.mark.parametrize("name", FAMILIES)
def test_a_frozen_body_computes_the_same_in_training_and_evaluation(name: str) -> None:
    model = network(name)
    plan = FreezePlan.of(model, "head", "locked")
    plan.apply(model)
    images = torch.randn(4, 3, 64, 64) * 3 + 1
    frozen = copy.deepcopy(model).eval()
    with torch.no_grad():
        trained = model.forward_features(images)
        assert torch.equal(trained, frozen.forward_features(images))


@pytest.mark.parametrize("name", FAMILIES)
def test_dropout_and_drop_path_act_in_what_trains_and_nowhere_else(name: str) -> None:
    model = network(name)
    stages = [stage.name for stage in FreezePlan.of(model, "all", "frozen").stages]
    plan = FreezePlan.of(model, stages[-2], "frozen")
    plan.apply(model)
    drops = {
        path: module.training
        for path, module in model.named_modules()
        if type(module).__name__ in ("DropPath", "Dropout")
    }
    own = {path for s in plan.stages if s.name in plan.trained for path in s.modules}
    assert any(drops.values())
    for path, acts in drops.items():
        inside = any(path == each or path.startswith(f"{each}.") for each in own if each)
        assert acts == inside, path


def test_batch_norm_statistics_follow_the_policy() -> None:
    for policy, moves in (("train", True), ("frozen", False), ("locked", False)):
        model = network()
        plan = FreezePlan.of(model, "layer4", policy)
        before = model.layer4[0].bn1.running_mean.clone()
        early = model.layer3[0].bn1.running_mean.clone()
        train_a_little(model, plan)
        assert torch.equal(model.layer4[0].bn1.running_mean, before) != moves
        assert torch.equal(model.layer3[0].bn1.running_mean, early)


def test_a_tensor_that_moved_is_found_out() -> None:
    model = network()
    plan = FreezePlan.of(model, "head", "locked")
    before = digest(plan.frozen_tensors(model))
    norm = next(module for module in model.modules() if isinstance(module, _BatchNorm))
    norm.running_mean[0] += 1e-6
    with pytest.raises(FrozenTensorsMoved, match="moved"):
        prove_frozen(plan, model, before)


def test_an_unknown_stage_is_told_with_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="layer4"):
        FreezePlan.of(network(), "layer9", "frozen")


def test_the_table_counts_every_parameter_once() -> None:
    model = network()
    plan = FreezePlan.of(model, "last_1", "locked")
    plan.apply(model)
    rows = freeze_table(plan, model, {"layer4": 0.1, "head": 0.2})
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert sum(row.trained for row in rows) == trainable
    assert [row.lr for row in rows][-2:] == [0.1, 0.2]
    assert rows[0].lr is None


def test_rates_fall_from_the_head_down() -> None:
    model = network()
    phase = GradientPhase.model_validate(
        {"name": "p", "train": "last_2", "epochs": 1, "lr_decay": 0.5, "optimizer": {"lr": 0.8}}
    )
    rates = stage_rates(FreezePlan.of(model, "last_2", "frozen"), phase)
    assert rates == {"head": 0.8, "layer4": 0.4, "layer3": 0.2}


def test_norms_and_biases_are_not_decayed() -> None:
    model = network("test_vit")
    phase = GradientPhase.model_validate({"name": "p", "train": "all", "epochs": 1})
    plan = FreezePlan.of(model, "all", "frozen")
    plan.apply(model)
    optimizer = build_optimizer(model, plan, phase)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    plain = {
        names[id(p)]
        for group in optimizer.param_groups
        if group["weight_decay"] == 0
        for p in group["params"]
    }
    assert {"pos_embed", "cls_token", "blocks.0.norm1.weight", "head.bias"} <= plain
    assert "blocks.0.mlp.fc1.weight" not in plain
    assert len(names) == sum(len(group["params"]) for group in optimizer.param_groups)
