"""Optimisers by name, with a rate for each stage."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from timm.optim import create_optimizer_v2, get_optimizer_class, list_optimizers
from torch import nn

from finetune.model.stages import HEAD
from finetune.recipe.schema import GradientPhase, OptimizerOptions
from finetune.training.freeze import FreezePlan

_WITH_MOMENTUM = ("sgd", "nesterov", "momentum", "rmsprop", "rmsproptf", "lars", "larc")


def stage_rates(plan: FreezePlan, phase: GradientPhase) -> dict[str, float]:
    """The peak rate of each stage that trains: the head's, times ``lr_decay`` a stage below it."""
    names = [stage.name for stage in reversed(plan.stages) if stage.name in plan.trained]
    return {name: phase.optimizer.peak * phase.lr_decay**depth for depth, name in enumerate(names)}


def build_optimizer(
    model: nn.Module, plan: FreezePlan, phase: GradientPhase, source: nn.Linear | None = None
) -> torch.optim.Optimizer:
    """The phase's optimiser over the parameters that train, a group or two a stage.

    Norms, biases and what the model itself excludes (``no_weight_decay``, such as position
    embeddings) are not decayed; nor is the backbone where ``l2_sp`` pulls it elsewhere. A
    ``source`` head, pretrained as the backbone is, learns as the last stage of that does.

    Raises:
        RecipeError: The optimiser refuses an argument.
    """
    groups = list(_groups(model, plan, phase))
    if source is not None:
        rate, decay = phase.optimizer.peak * phase.lr_decay, _decay(phase, head=False)
        groups.append({"params": [source.weight], "lr": rate, "weight_decay": decay})
        groups.append({"params": [source.bias], "lr": rate, "weight_decay": 0.0})
    return _create(groups, phase.optimizer)


def _groups(model: nn.Module, plan: FreezePlan, phase: GradientPhase) -> Iterator[dict[str, Any]]:
    rates = stage_rates(plan, phase)
    excluded = set(getattr(model, "no_weight_decay", set)())
    for stage in plan.stages:
        if stage.name not in plan.trained:
            continue
        learning = [(n, model.get_parameter(n)) for n in stage.parameters]
        learning = [(name, parameter) for name, parameter in learning if parameter.requires_grad]
        plain = [p for name, p in learning if p.ndim <= 1 or name in excluded]
        decayed = [p for name, p in learning if not (p.ndim <= 1 or name in excluded)]
        for parameters, own in ((decayed, _decay(phase, head=stage.name == HEAD)), (plain, 0.0)):
            if parameters:
                yield {"params": parameters, "lr": rates[stage.name], "weight_decay": own}


def _decay(phase: GradientPhase, *, head: bool) -> float:
    return 0.0 if phase.l2_sp and not head else phase.optimizer.weight_decay


def _create(groups: list[dict[str, Any]], options: OptimizerOptions) -> torch.optim.Optimizer:
    name, extra = options.name.lower(), dict(options.args)
    if name == "sgd" and not options.nesterov:
        name = "momentum"  # what timm calls plain SGD; its "sgd" is Nesterov's
    if options.momentum is not None or name in _WITH_MOMENTUM:
        extra["momentum"] = 0.9 if options.momentum is None else options.momentum
    if _fusible(name, extra, groups):
        extra["fused"] = True
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        groups, opt=name, lr=options.peak, weight_decay=options.weight_decay, **extra
    )
    return optimizer


def _fusible(name: str, args: dict[str, Any], groups: list[dict[str, Any]]) -> bool:
    """Whether torch has the whole step as one kernel, and nobody asked for another way."""
    if not _OTHER_WAYS.isdisjoint(args):
        return False
    known = inspect.signature(get_optimizer_class(name, bind_defaults=False)).parameters
    parameters = [parameter for group in groups for parameter in group["params"]]
    return "fused" in known and all(
        p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters
    )


_OTHER_WAYS = frozenset({"fused", "foreach", "differentiable", "capturable"})


def check_optimizer(options: OptimizerOptions, key: str) -> list[str]:
    """What is wrong with ``options``, found by building the optimiser; empty if nothing is."""
    known = list_optimizers()
    if options.name.lower() not in known:
        near = difflib.get_close_matches(options.name.lower(), known, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return [f"{key}.name: no optimiser is called {options.name}{hint}"]
    faults = []
    if options.momentum is not None and options.name.lower() not in _WITH_MOMENTUM:
        faults.append(f"{key}.momentum: {options.name} has none; remove it")
    if options.nesterov and options.name.lower() != "sgd":
        faults.append(f"{key}.nesterov: only with sgd")
    if not faults:
        faults += _construction_faults(options, key)
    return faults


def _construction_faults(options: OptimizerOptions, key: str) -> list[str]:
    parameters = [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))]
    groups = [{"params": [p], "weight_decay": options.weight_decay} for p in parameters]
    try:
        _create(groups, options)
    except Exception as error:  # whatever third-party optimisers raise for their arguments
        return [f"{key}.args: {options.name} refuses them: {error}"]
    return []
