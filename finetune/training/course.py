"""A training from its first phase to the classifier that is shipped."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from finetune.data.manifest import Item
from finetune.evaluation.abstention import Abstention
from finetune.evaluation.clusters import group_numbers
from finetune.model.head import classifier, set_head
from finetune.recipe.schema import SolverPhase
from finetune.text import plural
from finetune.training.abstaining import Held, fit_abstention
from finetune.training.balance import class_counts, log_prior
from finetune.training.judging import (
    Verdict,
    folds_of,
    judge_on_validation,
    judge_out_of_fold,
    wants_folds,
)
from finetune.training.phases import (
    PhaseResult,
    examples_of,
    first_main_phase_finished,
    inputs_of,
    run_fit,
)
from finetune.training.racing import race_record
from finetune.training.setting import Fit, Setting
from finetune.training.solvers import SOLVERS
from finetune.training.unseen import OutOfFold, calibration_set, out_of_fold, temperature_of


@dataclass(frozen=True)
class Trained:
    """The end of a training.

    Attributes:
        model: The classifier.
        temperature: What its logits are divided by; 1 if it isn't calibrated.
        abstention: When it doesn't answer.
        validation: Logits of the validation images from weights that had not seen them, ``[V, C]``.
        out_of_fold: The same of training images; None: there is nothing of the kind.
        phases: The contents of ``phases.json``.
    """

    model: nn.Module
    temperature: float
    abstention: Abstention
    validation: np.ndarray
    out_of_fold: OutOfFold | None
    phases: dict[str, Any]


def run_course(setting: Setting) -> Trained:
    """Run the recipe: choose the phase that is kept, calibrate, and refit a solved head.

    Raises:
        TrainingError: A phase's loss is no longer a number.
        FrozenTensorsMoved: A frozen stage changed.
    """
    train, validation = setting.manifest.part("train"), setting.manifest.part("val")
    if isinstance(setting.recipe.phases[0], SolverPhase) and not first_main_phase_finished(setting):
        setting.pristine_features([*train, *validation])  # at once, with one progress bar
    verdict, results = _run_phases(setting, train, validation)
    kept = results[verdict.choice.kept] if verdict else results[-1]
    logits, unseen, source = calibration_set(kept, verdict, train, validation)
    labels = setting.labels(unseen)
    if setting.recipe.evaluate.calibrate == "none" or not len(labels):
        source = "nothing"
    temperature = temperature_of(setting, logits, labels)
    model = copy.deepcopy(setting.pristine).to(setting.device)
    model.load_state_dict(kept.store.state())
    shift = _adjustment(setting, train, temperature)
    # Nothing of a solved head was fitted on the validation images: they may teach it now.
    refitted = setting.recipe.refit == "auto" and kept.out_of_fold is not None and bool(validation)
    if refitted:
        _refit(setting, model, results, kept, [*train, *validation])
    _shift_head(model, shift)
    held = _held(setting, kept, logits, unseen, validation, temperature)
    held = replace(held, logits=held.logits + shift)
    return Trained(
        model=model,
        temperature=temperature,
        abstention=fit_abstention(setting, model, held, pristine=kept.out_of_fold is not None),
        validation=kept.judged + shift,
        out_of_fold=out_of_fold(setting, results[: results.index(kept) + 1], verdict, train),
        phases=_audit(setting, results, kept, verdict, refitted)
        | {"temperature": temperature, "calibrated_on": source},
    )


def _run_phases(
    setting: Setting, train: Sequence[Item], validation: Sequence[Item]
) -> tuple[Verdict | None, list[PhaseResult]]:
    """The main fit, as far as the phase that is kept, and the verdict if there was a choice."""
    recipe, main = setting.recipe, Fit("main", train, validation, validation)
    if wants_folds(recipe, len(validation)) and folds_of(setting, train):
        verdict = judge_out_of_fold(setting, train, validation)
        return verdict, run_fit(setting, main, verdict.choice.kept + 1)
    results = run_fit(setting, main)
    if recipe.keep == "best" and len(results) > 1:
        return judge_on_validation(setting, results, validation), results
    return None, results


def _held(
    setting: Setting,
    kept: PhaseResult,
    logits: np.ndarray,
    unseen: Sequence[Item],
    validation: Sequence[Item],
    temperature: float,
) -> Held:
    """The images that calibrate and, where nothing was fitted on them, the validation images."""
    if kept.out_of_fold is not None:
        logits, unseen = np.concatenate([logits, kept.judged]), [*unseen, *validation]
    groups = group_numbers([item.group for item in unseen])
    return Held(logits, setting.labels(unseen), groups, temperature)


def _adjustment(setting: Setting, train: Sequence[Item], temperature: float) -> np.ndarray:
    """What `evaluate.logit_adjustment` adds to the logits, float32 ``[C]``.

    The recipe's tau is for logits that are divided by the temperature, so that a network's
    over-confidence doesn't change how far its answers move.
    """
    counts = class_counts(setting.labels(train), len(setting.manifest.classes))
    tau = setting.recipe.evaluate.logit_adjustment
    return (-tau * temperature * log_prior(counts)).astype(np.float32)


def _shift_head(model: nn.Module, shift: np.ndarray) -> None:
    layer = classifier(model)
    with torch.no_grad():
        layer.bias.add_(torch.from_numpy(shift).to(layer.bias))


def _refit(
    setting: Setting,
    model: nn.Module,
    results: Sequence[PhaseResult],
    kept: PhaseResult,
    items: Sequence[Item],
) -> None:
    """Solve the kept head again, at the number that was chosen, on all of ``items``."""
    phase = setting.recipe.phases[results.index(kept)]
    assert isinstance(phase, SolverPhase)
    solver = SOLVERS[phase.solver]
    inputs = inputs_of(setting, setting.pristine, phase, items, pristine=True)
    examples = examples_of(setting, inputs, items)
    weight, bias = solver.refit(examples, phase, kept.record[solver.chooses])
    set_head(model, torch.from_numpy(weight), torch.from_numpy(bias))
    setting.reporter.say(
        f"The head of {kept.name} was solved again on all "
        f"{plural(len(items), 'training and validation image')}."
    )


def _audit(
    setting: Setting,
    results: Sequence[PhaseResult],
    kept: PhaseResult,
    verdict: Verdict | None,
    refitted: bool,
) -> dict[str, Any]:
    records = []
    for position, phase in enumerate(setting.recipe.phases):
        reason = verdict.choice.reasons[position] if verdict else _unjudged(setting, position)
        record = (
            results[position].record
            if position < len(results)
            else {
                "name": phase.name,
                "train": phase.train,
                "ended": "not run: it would not be kept",
            }
        )
        race = race_record(setting, position)
        told = record | ({"race": race} if race else {})
        records.append(told | {"kept": phase.name == kept.name, "choice": reason})
    return {
        "kept": kept.name,
        "judged_on": "" if verdict is None else _judged_on(verdict),
        "judged_images": 0 if verdict is None else len(verdict.items),
        "refitted": refitted,
        "phases": records,
    }


def _unjudged(setting: Setting, position: int) -> str:
    if len(setting.recipe.phases) == 1:
        return "the only phase"
    last = position == len(setting.recipe.phases) - 1
    return "the last phase, as the recipe says" if last else "not the last phase"


def _judged_on(verdict: Verdict) -> str:
    return "training images, out-of-fold" if verdict.out_of_fold else "validation images"
