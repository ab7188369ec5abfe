"""What is about to happen, shown before it does: the freeze table and the time it takes."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from finetune.recipe.schema import GradientPhase, SolverPhase
from finetune.text import duration
from finetune.training.estimate import Estimate
from finetune.training.freeze import FreezePlan, StageRow, freeze_table
from finetune.training.optimisers import stage_rates
from finetune.training.setting import Setting

_SMALL = 160

LONG = 600.0
"""Seconds above which a quicker recipe is named."""


def show_plan(setting: Setting, expected: Estimate) -> None:
    """Show which stage trains in which phase, and how long it takes."""
    show_stages(setting)
    _show_time(setting, expected)


def show_stages(setting: Setting) -> None:
    """Show which stage trains in which phase."""
    columns = [_column(setting, phase) for phase in setting.recipe.phases]
    header = ["stage", "parameters", *(_title(phase) for phase in setting.recipe.phases)]
    rows = [
        [
            first.stage,
            f"{first.parameters:,}",
            *(_cell(column[row], solved) for column, solved in columns),
        ]
        for row, first in enumerate(columns[0][0])
    ]
    setting.reporter.table("What trains, at which peak learning rate", header, rows)
    for phase in setting.recipe.phases:
        if isinstance(phase, GradientPhase) and phase.optimizer.raced:
            rates = ", ".join(f"{rate:g}" for rate in phase.optimizer.raced)
            setting.reporter.say(
                f"{phase.name}: a race chooses its rate; the highest is shown ({rates})."
            )


def _title(phase: SolverPhase | GradientPhase) -> str:
    sized = isinstance(phase, GradientPhase) and phase.size
    return f"{phase.name} ({sized} px)" if sized else phase.name


def _column(
    setting: Setting, phase: SolverPhase | GradientPhase
) -> tuple[Sequence[StageRow], bool]:
    model = copy.deepcopy(setting.pristine)
    if isinstance(phase, SolverPhase):
        plan = FreezePlan.of(model, "head", "locked")
        plan.apply(model)
        return freeze_table(plan, model, None), True
    plan = FreezePlan.of(model, phase.train, phase.batch_norm)
    plan.apply(model)
    return freeze_table(plan, model, stage_rates(plan, phase)), False


def _cell(row: StageRow, solved: bool) -> str:
    if not row.trained:
        return "frozen"
    if solved or row.lr is None:
        return "solved"
    norm = f", BN {row.batch_norm}" if row.batch_norm else ""
    return f"{row.lr:.2g}{norm}"


def _show_time(setting: Setting, expected: Estimate) -> None:
    parts = [
        ("features", expected.features),
        ("choosing between phases, out-of-fold", expected.judging),
        ("racing rates", expected.racing),
        *zip((phase.name for phase in setting.recipe.phases), expected.phases, strict=True),
        ("scoring", expected.scoring),
    ]
    told = ", ".join(f"{name} {duration(seconds)}" for name, seconds in parts if seconds >= 1)
    setting.reporter.say(f"About {duration(expected.total)} on {setting.device} ({told}).")
    if expected.total > LONG:
        _tell_quicker(setting, expected)


def _tell_quicker(setting: Setting, expected: Estimate) -> None:
    """Name the recipe, and the size, that take less time."""
    if setting.recipe.model.pretrained and expected.quicker < expected.total / 2:
        setting.reporter.say(
            f"Quicker: --recipe linear_probe takes about {duration(expected.quicker)}."
        )
    if setting.spec.size > _SMALL:
        share = (_SMALL / setting.spec.size) ** 2
        setting.reporter.say(
            f"Quicker: --set input.size={_SMALL} takes about {share:.0%} of the time."
        )
