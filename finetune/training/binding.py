"""Names in a recipe, checked against the registries that know them, before any work starts."""

from __future__ import annotations

import os

import torch
from torch import nn

from finetune.data.transforms import check_augment
from finetune.errors import DeviceError, RecipeError
from finetune.features.cutting import Uncuttable, cut
from finetune.model.backbone import Loaded
from finetune.model.modes import evaluating
from finetune.model.stages import HEAD
from finetune.recipe.schema import GradientPhase, Phase, Recipe, SolverPhase
from finetune.tracking.choosing import check_installed
from finetune.training.freeze import FreezePlan
from finetune.training.judging import wants_folds
from finetune.training.optimisers import check_optimizer

_SOURCE_CLASSES = 1000
"""Of ImageNet. Few classes say little of what a picture is like."""


def check_names(recipe: Recipe, network: nn.Module | None) -> None:
    """See to it that transforms, optimisers, trackers and stages exist, and take their arguments.

    Args:
        recipe: What names them.
        network: What has the stages, with values or without; None: it isn't known yet.

    Raises:
        RecipeError: Some don't; all are told.
    """
    faults = check_augment(recipe.augment, "augment")
    plain = recipe.augment.policy == "none" and not recipe.augment.transforms
    for phase in recipe.phases:
        if isinstance(phase, SolverPhase) and phase.views > 1 and plain:
            faults.append(
                f"phases.{phase.name}.views: {phase.views} views would all be the same, as "
                "augment.policy is none; choose another, as light"
            )
        if isinstance(phase, GradientPhase):
            faults += check_optimizer(phase.optimizer, f"phases.{phase.name}.optimizer")
            if phase.augment is not None:
                faults += check_augment(phase.augment, f"phases.{phase.name}.augment")
    faults += check_installed(recipe.track)
    faults += _stage_faults(recipe, network) if network else []
    _refuse(recipe, faults)


def check_stages(recipe: Recipe, model: nn.Module) -> None:
    """See to it that the stages that the phases train are stages of ``model``.

    Raises:
        RecipeError: Some aren't, or a phase would cut boxes from what is no picture; all are told.
    """
    _refuse(recipe, _stage_faults(recipe, model))


def _stage_faults(recipe: Recipe, model: nn.Module) -> list[str]:
    faults = []
    for phase in recipe.phases:
        try:
            plan = FreezePlan.of(model, phase.train, "frozen")
            faults += _unpictured(phase, frozen=len(plan.trained) < len(plan.stages))
        except RecipeError as error:
            faults.append(f"phases.{phase.name}.train: {error}")
    return faults


def check_sizes(recipe: Recipe, model: nn.Module) -> None:
    """See to it that ``model`` takes inputs of the phases' own sizes, by passing it one of each.

    Raises:
        RecipeError: It doesn't; all such phases are told.
    """
    sizes = {
        phase.name: phase.size
        for phase in recipe.phases
        if isinstance(phase, GradientPhase) and phase.size
    }
    refusals = {name: _refusal(model, size) for name, size in sizes.items()}
    faults = [f"phases.{name}.size: {why}" for name, why in refusals.items() if why]
    _refuse(recipe, faults, "Set it to null: some networks, as ViT and Swin, have one size.")


def check_co_tuning(recipe: Recipe, loaded: Loaded, size: int) -> None:
    """See to it that there is a source head, and where it goes, for phases with ``co_tuning``.

    Args:
        recipe: What is asked for.
        loaded: The network and what its weights came with.
        size: Side of the images, in pixels.

    Raises:
        RecipeError: The weights have no head of 1,000 classes or more, or the network can't be
            cut before it.
    """
    names = [p.name for p in recipe.phases if isinstance(p, GradientPhase) and p.co_tuning]
    why = _no_source(loaded, size) if names else ""
    faults = [f"phases.{name}.co_tuning: {why}" for name in names if why]
    _refuse(recipe, faults, "Set co_tuning to 0, or take other weights, as resnet50.tv_in1k.")


def _no_source(loaded: Loaded, size: int) -> str:
    """Why no classifier can learn beside the new one; ``""`` if one can."""
    if loaded.source_head is None:
        return "there is no classifier that the weights were learnt with"
    classes = len(loaded.source_head.bias)
    if classes < _SOURCE_CLASSES:
        return f"the weights were learnt on {classes:,} classes, fewer than {_SOURCE_CLASSES:,}"
    try:
        cut(loaded.model, HEAD, size)
    except Uncuttable as error:
        return f"{loaded.report.architecture} can't be cut before its classifier ({error})"
    return ""


def _refusal(model: nn.Module, size: int) -> str:
    """Why ``model`` doesn't take a picture of ``size``; ``""`` if it does."""
    device = next(model.parameters()).device
    try:
        with evaluating(model), torch.inference_mode():
            model(torch.zeros((1, 3, size, size), device=device))
    except (AssertionError, RuntimeError, ValueError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        return f"this network doesn't take pictures of {size} pixels ({first[:120]})"
    return ""


def _unpictured(phase: Phase, *, frozen: bool) -> list[str]:
    if isinstance(phase, SolverPhase) or not phase.cutmix or not frozen:
        return []
    return [
        f"phases.{phase.name}.cutmix: cuts boxes from pictures, and the stages that train here see "
        "what frozen ones make of them; use mixup, or train: all"
    ]


def check_validation(recipe: Recipe, validation: int) -> None:
    """See to it that there is a validation part where a phase chooses by one.

    Raises:
        RecipeError: A phase stops early, mixes its weights or compares rates by a part that is
            empty.
    """
    if validation:
        return
    phases = [phase for phase in recipe.phases if isinstance(phase, GradientPhase)]
    for option, off in (("early_stopping", "null"), ("interpolate", "false")):
        watching = [
            f"phases.{phase.name}.{option}: there is no validation part to watch"
            for phase in phases
            if getattr(phase, option)
        ]
        _refuse(recipe, watching, f"Give data.val a share above 0, or set {option} to {off}.")
    racing = [
        f"phases.{phase.name}.optimizer.lr.race: there is no validation part to compare rates on"
        for phase in phases
        if phase.optimizer.raced and not wants_folds(recipe, validation)
    ]
    _refuse(recipe, racing, "Give data.val a share above 0, or name one rate.")


def check_processes() -> None:
    """See to it that this is the only process.

    Raises:
        DeviceError: A launcher has started several.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1") or 1)
    if processes > 1:
        raise DeviceError(
            f"a launcher has started {processes} processes, and finetune trains on one device",
            where="WORLD_SIZE",
            mend="Start `finetune train` by itself; CUDA_VISIBLE_DEVICES chooses the GPU.",
        )


def pick_precision(name: str, device: torch.device, native: bool) -> str:
    """``float32`` or ``bfloat16`` for a recipe's ``precision``.

    Raises:
        DeviceError: bfloat16 is asked for where the processor would only emulate it.
    """
    if name == "auto":
        return "bfloat16" if native else "float32"
    if name == "bfloat16" and not native:
        raise DeviceError(
            f"{device} has no native bfloat16: it would be slower than float32",
            where="precision",
            mend="Use --set precision=auto.",
        )
    return name


def _refuse(recipe: Recipe, faults: list[str], mend: str = "") -> None:
    if faults:
        raise RecipeError("\n".join(faults), where=f"recipe {recipe.name}", mend=mend)
