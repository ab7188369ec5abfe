"""A recipe chosen for images and a network that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from finetune.api.planning import Plan, rebound, setting_of
from finetune.choosing.depth import (
    QUICK,
    Depth,
    Facts,
    phase_choices,
    phases_to,
    seconds_to_solve,
)
from finetune.choosing.header import paragraphs
from finetune.choosing.measuring import PROBED, look_at_machine, probe
from finetune.choosing.rules import (
    augment_choice,
    backbone_choice,
    keep_choice,
    precision_choice,
)
from finetune.choosing.suggestion import KeyChoice, Suggestion, followed, keys_of
from finetune.choosing.traits import DataTraits
from finetune.console import Reporter, Silent
from finetune.model.head import classifier
from finetune.recipe.undecided import groundwork
from finetune.training.estimate import estimate


@dataclass(frozen=True)
class Grounds:
    """What a recipe is chosen on.

    Attributes:
        name: What DATA is called.
        plan: The images and the network, by a recipe that decides nothing else.
        looked: The training images.
        early: What had to be chosen before the network was loaded.
    """

    name: str
    plan: Plan
    looked: DataTraits
    early: tuple[KeyChoice, ...]


def choose(grounds: Grounds, overrides: Sequence[str], reporter: Reporter) -> Plan:
    """The plan of the recipe that suits the training images and this machine.

    Args:
        grounds: What it is chosen on.
        overrides: ``KEY=VALUE`` each: they stand over what is chosen.
        reporter: Who is told.

    Raises:
        FinetuneError: An override can't be followed, or the features are no numbers.
    """
    facts = _facts(grounds, reporter)
    asked = groundwork(overrides).precision
    later = (*_later(facts, grounds.plan), precision_choice(facts.machine, asked))
    choices = (*grounds.early, *later)
    planned = rebound(grounds.plan, followed(grounds.plan.recipe, choices, overrides))
    seconds = estimate(setting_of(planned, None, Silent())).total
    about = paragraphs(grounds.name, facts, grounds.plan.loaded.report.source, seconds)
    portable = planned.recipe.model_copy(update={"precision": asked})
    suggestion = Suggestion(portable, choices, tuple(about), keys_of(overrides))
    for line in suggestion.lines():
        reporter.say(line)
    return replace(planned, suggestion=suggestion)


def trained(facts: Facts) -> list[KeyChoice]:
    """The phases of a pretrained network, and what hangs on them."""
    phases = phase_choices(facts)
    chosen = phases[0].value
    varied = any("solver" not in phase for phase in chosen)
    return [*phases, augment_choice(facts.data, varied=varied), keep_choice(len(chosen))]


def _later(facts: Facts, plan: Plan) -> list[KeyChoice]:
    """What is chosen once the network is there."""
    report = plan.loaded.report
    if not report.pretrained:
        return [keep_choice(1)]
    return [backbone_choice(plan.recipe.model.backbone, report.source), *trained(facts)]


def _facts(grounds: Grounds, reporter: Reporter) -> Facts:
    """What is known once the network has seen the training images."""
    plan, looked = grounds.plan, grounds.looked
    setting = replace(setting_of(plan, None, Silent()), reporter=reporter)
    width = classifier(setting.pristine).in_features
    quick = seconds_to_solve(min(looked.images, PROBED), width, looked.classes) < QUICK
    return Facts(
        data=looked,
        machine=look_at_machine(setting.device),
        probe=probe(setting) if plan.loaded.report.pretrained and quick else None,
        width=width,
        seconds=lambda depth: _seconds(plan, depth),
    )


def _seconds(plan: Plan, depth: Depth) -> float:
    recipe = followed(plan.recipe, [KeyChoice("phases", phases_to(depth), "")])
    return estimate(setting_of(rebound(plan, recipe), None, Silent())).total
