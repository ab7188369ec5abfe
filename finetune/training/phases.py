"""A recipe's phases, one after another, over some images: a fit."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from finetune.data.manifest import Item
from finetune.model.fingerprint import digest
from finetune.model.head import set_head
from finetune.recipe.schema import GradientPhase, Phase, SolverPhase
from finetune.training.checkpoints import PhaseStore, phase_store
from finetune.training.freeze import FreezePlan, freeze_table, prove_frozen
from finetune.training.heads import SolvedHead
from finetune.training.optimisers import stage_rates
from finetune.training.racing import settled
from finetune.training.remedies import check_finite
from finetune.training.setting import Fit, Setting
from finetune.training.solvers import SOLVERS, Examples, Solver
from finetune.training.stored import StoredPart
from finetune.training.trainee import Trainee


@dataclass(frozen=True)
class PhaseResult:
    """A phase at its end.

    Attributes:
        name: The phase's name.
        store: Its weights and arrays.
        record: Its part of ``phases.json``.
        judged: Logits of the images that the fit is judged on, ``[M, C]``.
        out_of_fold: For a head solved on features that no label has shaped, logits of the training
            images from the folds of its cross-validation, ``[N, C]``.
    """

    name: str
    store: PhaseStore
    record: dict[str, Any]
    judged: np.ndarray
    out_of_fold: np.ndarray | None


def run_fit(setting: Setting, fit: Fit, phases: int | None = None) -> list[PhaseResult]:
    """Run the recipe's phases on a fresh copy of the pretrained network.

    Phases that an interrupted run has finished are taken from its checkpoints.

    Args:
        setting: What the run's fits share.
        fit: What is learnt from and judged.
        phases: How many of the phases to run; all by default.
    """
    planned = setting.recipe.phases[:phases]
    stores = [_store(setting, fit.name, position) for position in range(len(planned))]
    begin = next((n for n, store in enumerate(stores) if not store.finished), len(stores))
    if begin < len(stores):
        model = copy.deepcopy(setting.pristine).to(setting.device)
        if begin:
            model.load_state_dict(stores[begin - 1].state())
        for position, phase in enumerate(planned[begin:], begin):
            _run(setting, fit, model, phase, position, stores[position])
    return [_result(phase.name, store) for phase, store in zip(planned, stores, strict=True)]


def first_main_phase_finished(setting: Setting) -> bool:
    """Whether the first phase of the main fit, which comes after those on folds, is finished."""
    return _store(setting, "main", 0).finished


def _store(setting: Setting, fit: str, position: int) -> PhaseStore:
    name = setting.recipe.phases[position].name
    return phase_store(setting.checkpoints, fit, position, name)


def _run(
    setting: Setting, fit: Fit, model: nn.Module, phase: Phase, position: int, store: PhaseStore
) -> None:
    if isinstance(phase, SolverPhase):
        _solve(setting, fit, model, phase, store, pristine=body_is_pristine(setting, position))
    else:
        _descend(setting, fit, model, phase, position, store)


def body_is_pristine(setting: Setting, position: int) -> bool:
    """Whether no phase before ``position`` trains more than the head."""
    return all(phase.train == "head" for phase in setting.recipe.phases[:position])


def _solve(
    setting: Setting,
    fit: Fit,
    model: nn.Module,
    phase: SolverPhase,
    store: PhaseStore,
    *,
    pristine: bool,
) -> None:
    """A head solved on frozen features; ``pristine``: the body is still as pretrained."""
    started = time.monotonic()
    plan = FreezePlan.of(model, "head", "locked")
    plan.apply(model)
    before = digest(plan.frozen_tensors(model))
    inputs = inputs_of(setting, model, phase, fit.train, pristine=pristine)
    solver = SOLVERS[phase.solver]
    head = solver.solve(examples_of(setting, inputs, fit.train), phase, setting.recipe.seed)
    set_head(model, torch.from_numpy(head.weight), torch.from_numpy(head.bias))
    record = _record(phase, plan, model, before, time.monotonic() - started) | {
        "ended": f"solved; {_chosen_words(phase, solver, head)}",
        solver.chooses: head.chosen,
    }
    seen = features_of(setting, model, fit.judged, pristine=pristine)
    arrays = {"judged": seen @ head.weight.T + head.bias}
    if pristine:
        arrays["out_of_fold"] = head.out_of_fold
    store.finish(record, model.state_dict(), **arrays)


def _chosen_words(phase: SolverPhase, solver: Solver, head: SolvedHead) -> str:
    chosen = f"{solver.chooses} {head.chosen:.3g}"
    if phase.l2 == "auto":
        return f"{chosen} by cross-validated log loss, {head.cv_log_loss:.4f}"
    return f"{chosen} as the recipe says; cross-validated log loss {head.cv_log_loss:.4f}"


def examples_of(setting: Setting, inputs: np.ndarray, items: Sequence[Item]) -> Examples:
    """``items``, of whose views a head sees ``inputs [V, N, D]``, with labels and groups."""
    groups = [item.group for item in items] if any(item.group for item in items) else None
    classes = len(setting.manifest.classes)
    return Examples(inputs, setting.labels(items), classes, groups)


def inputs_of(
    setting: Setting,
    model: nn.Module,
    phase: SolverPhase,
    items: Sequence[Item],
    *,
    pristine: bool,
) -> np.ndarray:
    """Classifier inputs of the images as scored and of further views, ``[V, N, D]``."""
    scored = features_of(setting, model, items, pristine=pristine)[None]
    if phase.views == 1:
        return scored
    part = StoredPart.before_the_head(setting, model)
    return np.concatenate([scored, part.augmented(items, phase.views - 1)])


def features_of(
    setting: Setting, model: nn.Module, items: Sequence[Item], *, pristine: bool
) -> np.ndarray:
    """Classifier inputs ``[N, D]``; computed once a run while the body is as pretrained."""
    if pristine:
        return setting.pristine_features(items)
    return setting.live_features(model, items, "features")


def _descend(
    setting: Setting,
    fit: Fit,
    model: nn.Module,
    phase: GradientPhase,
    position: int,
    store: PhaseStore,
) -> None:
    """A phase by gradient descent."""
    # Here, and not above: a recipe that only solves heads needs no Lightning, which takes seconds.
    from finetune.training.fit import fit_phase

    trainee = Trainee.of(model, settled(setting, fit, model, phase, position), position)
    phase, plan = trainee.phase, trainee.plan
    before = digest(plan.frozen_tensors(model))
    end = fit_phase(setting, fit, trainee, store.running)
    record = _record(phase, plan, model, before, setting.log.seconds(fit.name, phase.name)) | {
        "ended": end.reason,
        "epochs": end.epochs,
        "best_epoch": end.best_epoch,
        "mixture": end.mixture.to_record() if end.mixture else None,
    }
    check_finite(end.judged, phase)
    store.finish(record, model.state_dict(), judged=end.judged)


def _record(
    phase: SolverPhase | GradientPhase,
    plan: FreezePlan,
    model: nn.Module,
    before: str,
    seconds: float,
) -> dict[str, Any]:
    """The phase's audit: the freeze table and the proof that the frozen part did not move."""
    rates = stage_rates(plan, phase) if isinstance(phase, GradientPhase) else None
    frozen = list(plan.frozen_tensors(model))
    return {
        "name": phase.name,
        "train": phase.train,
        "solver": phase.solver if isinstance(phase, SolverPhase) else None,
        "stages": [asdict(row) for row in freeze_table(plan, model, rates)],
        "frozen": {
            "tensors": len(frozen),
            "digest_before": before,
            "digest_after": prove_frozen(plan, model, before),
        },
        "seconds": round(seconds, 3),
    }


def _result(name: str, store: PhaseStore) -> PhaseResult:
    record, arrays = store.record(), store.arrays()
    return PhaseResult(
        name=name,
        store=store,
        record=record,
        judged=arrays["judged"],
        out_of_fold=arrays.get("out_of_fold"),
    )
