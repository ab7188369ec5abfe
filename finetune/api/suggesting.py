"""Plan a training, and choose its recipe first where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finetune.api.planning import (
    PathName,
    Plan,
    absolute,
    bound,
    plan_recipe,
    rebound,
    setting_of,
    weights_for,
)
from finetune.choosing.depth import Depth, Facts, phase_choices, phases_to
from finetune.choosing.header import paragraphs
from finetune.choosing.measuring import look_at_data, look_at_machine, probe
from finetune.choosing.rules import (
    augment_choice,
    input_choices,
    keep_choice,
    precision_choice,
    scratch_choices,
)
from finetune.choosing.suggestion import Choice, Suggestion, followed, keys_of
from finetune.choosing.traits import DataTraits
from finetune.console import Reporter, Silent, automatic
from finetune.data.manifest import Manifest
from finetune.data.reading import check_exists, read_data
from finetune.errors import HubUnreachable
from finetune.memory import keep_freed_memory
from finetune.model.device import pick_device
from finetune.model.head import classifier
from finetune.model.weights import fetch_weights
from finetune.recipe.named_files import without_named_files
from finetune.recipe.schema import Recipe
from finetune.recipe.undecided import check_overrides, early_of, groundwork, is_undecided
from finetune.training.binding import check_names, check_processes
from finetune.training.estimate import estimate
from finetune.training.preview import show_plan


def plan(
    data: PathName,
    recipe: PathName | Recipe = "lp_ft",
    *,
    overrides: Sequence[str] = (),
    weights: PathName | None = None,
    reporter: Reporter | None = None,
    show: bool = False,
) -> Plan:
    """Judge a training, read and divide its data and load its weights; train nothing.

    The arguments are `train`'s; ``show`` shows the freeze table and the time it would take.

    Raises:
        FinetuneError: The training can't be done as asked.
    """
    reporter = reporter or automatic()
    if is_undecided(recipe):
        planned = _plan_chosen(data, overrides, weights, reporter)
    else:
        planned = plan_recipe(data, recipe, overrides, weights, reporter)
    if show:
        setting = setting_of(planned, None, reporter)
        show_plan(setting, estimate(setting))
    return planned


def suggest(
    data: PathName,
    *,
    overrides: Sequence[str] = (),
    weights: PathName | None = None,
    reporter: Reporter | None = None,
) -> Suggestion:
    """The recipe that ``train(data, "auto")`` would train by, with a reason for each choice.

    It is chosen by the training images (count, classes, size, shape, grey), by how a linear probe
    does on them out of fold, by the machine, and by the time that a few timed batches foretell.
    Validation and test images have no part in it. Each image passes the network once, and the
    features are kept for the training. Where the model hub doesn't answer and no weights are
    given, it is chosen without a probe and without times, and says so.

    ``suggestion.recipe`` is what `train` takes, ``suggestion.text()`` the YAML file with the
    reasons as comments, ``suggestion.reasons`` the reasons by key.

    Args:
        data: As for `train`.
        overrides: ``KEY=VALUE`` each: they stand over what is chosen.
        weights: As for `train`.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        FinetuneError: What `train` raises before work starts.
    """
    keep_freed_memory()
    reporter = reporter or automatic()
    try:
        planned = _plan_chosen(data, overrides, weights, reporter)
    except HubUnreachable as error:
        reporter.warn(f"{error.found}: chosen without a probe and without times.")
        return _without_network(Path(data), overrides, reporter)
    assert planned.suggestion is not None
    return planned.suggestion


def chosen_for(
    first: Plan,
    looked: DataTraits,
    early: Sequence[Choice],
    name: str,
    overrides: Sequence[str],
    reporter: Reporter,
) -> Plan:
    """``first`` with the recipe that suits its training images.

    Args:
        first: The network and the images, by a recipe that decides nothing else.
        looked: The training images.
        early: What was chosen before, for the network to be loaded by.
        name: What DATA is called.
        overrides: ``KEY=VALUE`` each: they stand over what is chosen.
        reporter: Who is told.

    Raises:
        FinetuneError: An override can't be followed, or the features are no numbers.
    """
    facts = _facts(first, looked, reporter)
    asked = groundwork(overrides).precision
    later = _trained(facts) if first.loaded.report.pretrained else [keep_choice(1)]
    choices = (*early, *later, precision_choice(facts.machine, asked))
    planned = rebound(first, followed(first.recipe, choices, overrides))
    seconds = estimate(setting_of(planned, None, Silent())).total
    about = paragraphs(
        name, looked, facts.machine, facts.probe, first.recipe.model.backbone, seconds
    )
    portable = planned.recipe.model_copy(update={"precision": asked})
    suggestion = Suggestion(portable, choices, tuple(about), keys_of(overrides))
    for line in suggestion.lines():
        reporter.say(line)
    return replace(planned, suggestion=suggestion)


def _plan_chosen(
    data: PathName, overrides: Sequence[str], weights: PathName | None, reporter: Reporter
) -> Plan:
    base = groundwork(overrides)
    check_processes()
    choice = weights_for(base, overrides, weights)
    scratch = choice.place is None
    check_overrides(overrides, scratch=scratch)
    check_exists(Path(data))
    fetch_weights(choice)
    manifest, looked = _looked_at(data, base, reporter)
    early = scratch_choices(looked) if scratch else input_choices(looked)
    draft = followed(base, early, overrides if scratch else early_of(overrides))
    check_names(draft)
    source = weights_for(draft, overrides, weights)
    first = bound(draft, source, manifest, absolute(weights), reporter)
    return chosen_for(first, looked, early, Path(data).name, overrides, reporter)


def _looked_at(data: PathName, base: Recipe, reporter: Reporter) -> tuple[Manifest, DataTraits]:
    manifest = read_data(Path(data), base.data, base.seed, reporter)
    return manifest, look_at_data(manifest, base.data.max_pixels, Silent())


def _facts(first: Plan, looked: DataTraits, reporter: Reporter) -> Facts:
    """What is known once the network has seen the training images."""
    setting = replace(setting_of(first, None, Silent()), reporter=reporter)
    pretrained = first.loaded.report.pretrained
    return Facts(
        data=looked,
        machine=look_at_machine(setting.device),
        probe=probe(setting) if pretrained else None,
        width=classifier(setting.pristine).in_features,
        seconds=lambda depth: _seconds(first, depth),
    )


def _seconds(first: Plan, depth: Depth) -> float:
    recipe = followed(first.recipe, [Choice("phases", phases_to(depth), "")])
    return estimate(setting_of(rebound(first, recipe), None, Silent())).total


def _trained(facts: Facts) -> list[Choice]:
    """The phases of a pretrained network, and what hangs on them."""
    phases = phase_choices(facts)
    chosen = phases[0].value
    varied = any("solver" not in phase for phase in chosen)
    return [*phases, augment_choice(facts.data, varied=varied), keep_choice(len(chosen))]


def _without_network(data: Path, overrides: Sequence[str], reporter: Reporter) -> Suggestion:
    """A suggestion by the images and the machine alone."""
    base = groundwork(overrides)
    _, looked = _looked_at(data, base, reporter)
    machine = look_at_machine(pick_device())
    facts = Facts(looked, machine, None, 0, None)
    choices = (*input_choices(looked), *_trained(facts), precision_choice(machine, base.precision))
    recipe = without_named_files(followed(base, choices, overrides))
    why = "there were no weights to try it with"
    about = paragraphs(data.name, looked, machine, None, why, None)
    return Suggestion(recipe, choices, tuple(about), keys_of(overrides))
