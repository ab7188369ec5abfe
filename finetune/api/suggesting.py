"""Plan a training, and choose its recipe first where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finetune.api.choosing import Grounds, choose, trained
from finetune.api.planning import (
    PathName,
    Plan,
    absolute,
    bound,
    plan_recipe,
    setting_of,
    weights_for,
)
from finetune.choosing.depth import Facts
from finetune.choosing.header import paragraphs
from finetune.choosing.measuring import look_at_data, look_at_machine
from finetune.choosing.rules import (
    backbone_choice,
    input_choices,
    precision_choice,
    scratch_choices,
)
from finetune.choosing.suggestion import Suggestion, followed, keys_of
from finetune.choosing.traits import DataTraits
from finetune.console import Reporter, Silent, automatic
from finetune.data.manifest import Manifest
from finetune.data.reading import check_exists, read_data
from finetune.errors import HubUnreachable
from finetune.memory import keep_freed_memory
from finetune.model.device import pick_device
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
    check_names(draft, None)  # the phases aren't chosen yet
    source = weights_for(draft, overrides, weights)
    first = bound(draft, source, manifest, absolute(weights), reporter)
    grounds = Grounds(Path(data).resolve().name, first, looked, tuple(early))
    return choose(grounds, overrides, reporter)


def _looked_at(data: PathName, base: Recipe, reporter: Reporter) -> tuple[Manifest, DataTraits]:
    manifest = read_data(Path(data), base.data, base.seed, reporter)
    return manifest, look_at_data(manifest, base.data.max_pixels, Silent())


def _without_network(data: Path, overrides: Sequence[str], reporter: Reporter) -> Suggestion:
    """A suggestion by the images and the machine alone."""
    base = groundwork(overrides)
    _, looked = _looked_at(data, base, reporter)
    facts = Facts(looked, look_at_machine(pick_device()), None, 0, None)
    choices = (
        *input_choices(looked),
        backbone_choice(base.model.backbone, "not there yet"),
        *trained(facts),
        precision_choice(facts.machine, base.precision),
    )
    recipe = without_named_files(followed(base, choices, overrides))
    about = paragraphs(data.resolve().name, facts, "the weights were not there", None)
    return Suggestion(recipe, choices, tuple(about), keys_of(overrides))
