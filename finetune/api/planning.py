"""What is judged, read and loaded before a training begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path

from finetune.choosing.suggestion import Suggestion
from finetune.console import Reporter
from finetune.data.input_spec import InputSpec
from finetune.data.manifest import Manifest
from finetune.data.parts.earlier import splits_file
from finetune.data.reading import check_exists, read_data
from finetune.features.body import FLOAT32
from finetune.files import file_digest
from finetune.model.backbone import Loaded, input_spec, load_backbone, sketched
from finetune.model.device import pick_device
from finetune.model.precision import native_bfloat16
from finetune.model.pretrained import WeightsChoice
from finetune.model.weights import choose_weights, fetch_weights
from finetune.recipe.commenting import commented
from finetune.recipe.loading import resolve
from finetune.recipe.named_files import named_files, without_named_files
from finetune.recipe.overrides import sets
from finetune.recipe.schema import AugmentOptions, GradientPhase, Phase, Recipe
from finetune.recipe.writing import dump
from finetune.run import RunDirectory
from finetune.training.binding import (
    check_co_tuning,
    check_names,
    check_processes,
    check_sizes,
    check_stages,
    check_validation,
    pick_precision,
)
from finetune.training.length import view_count
from finetune.training.log import Log
from finetune.training.mirroring import mirror_helps
from finetune.training.number_format import with_number_format
from finetune.training.setting import Setting

PathName = str | PathLike[str]


@dataclass(frozen=True)
class NamedFile:
    """A file that the recipe names by a key that the command line alone may give.

    Attributes:
        file: Its absolute path.
        digest: SHA-256 of its bytes, in hex.
    """

    file: str
    digest: str


@dataclass(frozen=True)
class Plan:
    """A training that has been judged possible and not yet begun.

    Attributes:
        recipe: The recipe, resolved: the backbone, size and precision that will be used.
        manifest: What is learnt from.
        loaded: The pretrained network with its new head, and where it came from.
        spec: How a picture becomes its input.
        weights: What was asked for as weights: a file's absolute path, ``none``, or None.
        named: Files that the command line named beside DATA and weights, by the recipe's key.
        suggestion: What the recipe was chosen by, where it was.
    """

    recipe: Recipe
    manifest: Manifest
    loaded: Loaded
    spec: InputSpec
    weights: str | None
    named: Mapping[str, NamedFile] = field(default_factory=dict)
    suggestion: Suggestion | None = None

    @property
    def recipe_text(self) -> str:
        """The recipe as YAML, with the reasons of its choices where it was chosen."""
        told = self.suggestion
        return commented(self.recipe, told.about, told.reasons) if told else dump(self.recipe)


def plan_recipe(
    data: PathName,
    recipe: PathName | Recipe,
    overrides: Sequence[str],
    weights: PathName | None,
    reporter: Reporter,
) -> Plan:
    """The plan of a recipe that is there; the arguments are `train`'s.

    Raises:
        FinetuneError: The training can't be done as asked.
    """
    chosen = resolve(recipe, overrides)
    check_processes()
    choice = weights_for(chosen, overrides, weights)
    check_names(chosen, sketched(choice))
    check_exists(Path(data))
    fetch_weights(choice)  # first: a hub that doesn't answer must not cost a look at every image
    manifest = read_data(Path(data), chosen.data, chosen.seed, reporter)
    return bound(chosen, choice, manifest, absolute(weights), reporter)


def weights_for(
    recipe: Recipe, overrides: Sequence[str], weights: PathName | None
) -> WeightsChoice:
    """What the network starts from, judged and not yet fetched.

    Raises:
        FinetuneError: As `choose_weights`.
    """
    override = recipe.model.backbone if sets(overrides, "model.backbone") else None
    return choose_weights(recipe.model, absolute(weights), override)


def bound(
    chosen: Recipe, choice: WeightsChoice, manifest: Manifest, asked: str | None, reporter: Reporter
) -> Plan:
    """``chosen`` with its network and its images.

    Raises:
        FinetuneError: They don't go together.
    """
    check_validation(chosen, len(manifest.part("val")))
    loaded = load(choice, len(manifest.classes), chosen)
    for line in loaded.report.lines():
        reporter.say(line)
    check_stages(chosen, loaded.model)
    check_sizes(chosen, loaded.model)
    spec = input_spec(loaded, chosen.input)
    check_co_tuning(chosen, loaded, spec.size)
    resolved = _resolved(chosen, loaded, spec, len(manifest.part("train")))
    planned = Plan(resolved, manifest, loaded, spec, asked, _named(chosen))
    return _mirror_decided(planned, reporter) if chosen.input.mirror == "auto" else planned


def _mirror_decided(planned: Plan, reporter: Reporter) -> Plan:
    """``planned`` as it is better, with mirror images or without."""
    sides = [_with_mirror(planned, mirror=mirror) for mirror in (False, True)]
    alone, both = (setting_of(side, None, reporter) for side in sides)
    return sides[mirror_helps(alone, both)]


def _with_mirror(planned: Plan, *, mirror: bool) -> Plan:
    spec = replace(planned.spec, mirror=mirror)
    images = len(planned.manifest.part("train"))
    recipe = _resolved(planned.recipe, planned.loaded, spec, images)
    return replace(planned, recipe=recipe, spec=spec)


def rebound(planned: Plan, chosen: Recipe) -> Plan:
    """``planned`` with a recipe that goes with the same network, inputs and images.

    Raises:
        RecipeError: It names what there is not.
    """
    check_names(chosen, planned.loaded.model)
    check_validation(chosen, len(planned.manifest.part("val")))
    check_sizes(chosen, planned.loaded.model)
    check_co_tuning(chosen, planned.loaded, planned.spec.size)
    images = len(planned.manifest.part("train"))
    return replace(planned, recipe=_resolved(chosen, planned.loaded, planned.spec, images))


def load(choice: WeightsChoice, classes: int, recipe: Recipe) -> Loaded:
    """The network of ``choice`` with the head and the sizes that ``recipe`` asks for."""
    return load_backbone(
        choice,
        classes,
        seed=recipe.seed,
        dropout=recipe.model.dropout,
        drop_path=recipe.model.drop_path,
        size=None if recipe.input.size == "auto" else recipe.input.size,
    )


def setting_of(planned: Plan, run: RunDirectory | None, reporter: Reporter) -> Setting:
    """What a training works with; without a ``run`` nothing is written but to the store."""
    folder, device = run or RunDirectory(Path()), pick_device()
    setting = Setting(
        recipe=planned.recipe,
        manifest=planned.manifest,
        spec=planned.spec,
        pristine=planned.loaded.model.to(device),
        device=device,
        precision=planned.recipe.precision,
        inference=FLOAT32,
        checkpoints=folder.checkpoints,
        log=Log(folder.log),
        reporter=reporter,
        source_head=planned.loaded.source_head,
    )
    return with_number_format(setting)


def absolute(weights: PathName | None) -> str | None:
    """What was asked for as weights, still true in another working directory."""
    if weights is None or fspath(weights) == "none":
        return None if weights is None else "none"
    return str(Path(weights).absolute())


def _named(recipe: Recipe) -> dict[str, NamedFile]:
    """The files that ``recipe`` names; all have been read by now."""
    paths = {key: splits_file(value) for key, value in named_files(recipe).items()}
    return {key: NamedFile(str(p.absolute()), file_digest(p)) for key, p in paths.items()}


def _resolved(recipe: Recipe, loaded: Loaded, spec: InputSpec, images: int) -> Recipe:
    """The recipe with what ``auto`` came to, so that it repeats the run elsewhere.

    It names no file: what it was divided by is in the manifest, and where is told beside it.
    """
    recipe = without_named_files(recipe)
    device = pick_device()
    precision = pick_precision(recipe.precision, device, native_bfloat16(device))
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(
                update={
                    "backbone": loaded.report.architecture,
                    "pretrained": loaded.report.pretrained,
                }
            ),
            "input": recipe.input.model_copy(update={"size": spec.size, "mirror": spec.mirror}),
            "augment": _with_views(recipe.augment, images),
            "phases": [_phase_with_views(phase, images) for phase in recipe.phases],
            "precision": precision,
        }
    )


def _phase_with_views(phase: Phase, images: int) -> Phase:
    if not isinstance(phase, GradientPhase) or phase.augment is None:
        return phase
    return phase.model_copy(update={"augment": _with_views(phase.augment, images)})


def _with_views(options: AugmentOptions, images: int) -> AugmentOptions:
    if view_count(options, images) == 1:  # so that it stays right with another policy
        return options
    return options.model_copy(update={"views": view_count(options, images)})
