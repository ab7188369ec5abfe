"""Cross-validation: how well a recipe does on DATA, with all of its images as judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from finetune.api.planning import PathName, Plan, setting_of
from finetune.api.suggesting import plan
from finetune.api.training import resume, train
from finetune.console import Reporter, automatic
from finetune.data.manifest import Item, Manifest
from finetune.environment import describe_machine
from finetune.errors import RunError
from finetune.experiments.cross_validation import CrossValidating
from finetune.experiments.directory import ExperimentDirectory, check_place, held
from finetune.experiments.folds import fold_warnings, folds_of_pool
from finetune.experiments.result import CrossValidation
from finetune.files import text_digest, write_text
from finetune.memory import keep_freed_memory
from finetune.recipe.schema import Recipe
from finetune.recipe.undecided import is_undecided, known
from finetune.recipe.writing import dump
from finetune.run import RunDirectory, is_run, place_for
from finetune.text import plural
from finetune.training.binding import check_validation

ALL_TEACH = "data.test=0"
"""What a training is told where no image has to be kept apart to score it."""


def cv(
    data: PathName,
    recipe: PathName | Recipe = "lp_ft",
    *,
    folds: int = 5,
    repeats: int = 2,
    overrides: Sequence[str] = (),
    weights: PathName | None = None,
    out: PathName | None = None,
    final: bool = False,
    reporter: Reporter | None = None,
) -> CrossValidation:
    """Score a recipe by cross-validation: every image is judged by trainings that never saw it.

    The images are cut into folds that hold each class alike and never cut a group. For each fold
    the whole recipe is followed on the images of the others: ``data.val`` of them are its
    validation part, and regularisation, phase and temperature are chosen among them. A test part
    that DATA brings stays out; where DATA brings none, all images take part, and ``data.test`` has
    no part in it.

    Called again with the same ``out``, it goes on where it was interrupted.

    Args:
        data: As for `train`.
        recipe: As for `train`. One that only solves a head passes each image through the network
            once, whatever the number of trainings. ``"auto"`` is chosen once, by all images that
            take part, and every training follows it.
        folds: How many; 5 learn from four fifths of the images each.
        repeats: How often the images are cut into folds anew, each way with its own trainings.
        overrides: As for `train`.
        weights: As for `train`.
        out: The directory to make; ``runs/<data>-<recipe>-cv-<n>`` by default.
        final: Train a classifier on all images afterwards, as a run directory ``final``. The scores
            of the cross-validation are an honest, rather cautious estimate of its.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        DataError: There are fewer images, or groups, than folds.
        RunError: ``out`` holds something else.
        FinetuneError: What `train` raises.
    """
    keep_freed_memory()
    reporter = reporter or automatic()
    name = f"{known(recipe, overrides).name}-cv"
    target = Path(out) if out else None
    with (
        place_for(target, Path(data), name, Path.cwd()) as place,
        _checked(place, Path(data)) as directory,
    ):
        planned = plan(
            data,
            _once_chosen(recipe, directory),
            overrides=[*overrides, ALL_TEACH],
            weights=weights,
            reporter=reporter,
        )
        work = _begun(planned, folds, repeats, directory, reporter)
        _go_on(work)
        if final:
            _train_final(directory, data, recipe, overrides, weights, planned, reporter)
    return CrossValidation(directory)


def _once_chosen(recipe: PathName | Recipe, directory: ExperimentDirectory) -> PathName | Recipe:
    """``recipe``; what ``auto`` came to, once the cross-validation has begun: all follow that."""
    return directory.recipe if is_undecided(recipe) and directory.begun else recipe


@contextmanager
def _checked(place: Path, data: Path) -> Iterator[ExperimentDirectory]:
    check_place(place, data)
    with held(place, data) as directory:
        yield directory


def _begun(
    planned: Plan, folds: int, repeats: int, directory: ExperimentDirectory, reporter: Reporter
) -> CrossValidating:
    """The cross-validation, judged possible and written down; or taken up."""
    if folds < 2 or repeats < 1:
        raise RunError("a cross-validation wants two folds at least, and one repeat")
    pool, manifest = _pool(planned.manifest, reporter)
    cut = folds_of_pool(manifest, pool, planned.recipe, folds, repeats)
    check_validation(planned.recipe, min(fold.trial.validation for fold in cut))
    for warning in fold_warnings(pool, folds):
        reporter.warn(warning)
    pooled = replace(planned, manifest=manifest)
    _write_beginning(directory, pooled, folds, repeats)
    return CrossValidating(setting_of(pooled, None, reporter), pool, tuple(cut), directory)


def _pool(manifest: Manifest, reporter: Reporter) -> tuple[tuple[Item, ...], Manifest]:
    """The images that take part; the rest is a test part that DATA brings, or set aside."""
    kept = manifest.part("test")
    if kept:
        reporter.say(
            f"DATA's own test part ({plural(len(kept), 'image')}) stays out of the "
            "cross-validation."
        )
    items = [replace(i, split="train") if i.split == "val" else i for i in manifest.items]
    pooled = Manifest(manifest.root, manifest.classes, tuple(items))
    return pooled.part("train"), pooled


def _write_beginning(
    directory: ExperimentDirectory, planned: Plan, folds: int, repeats: int
) -> None:
    recipe = dump(planned.recipe)
    weights = planned.loaded.report.to_dict()
    purpose = {
        "folds": folds,
        "repeats": repeats,
        "recipe": text_digest(recipe),
        "data": planned.manifest.digest(),
        "weights": weights["digest"],
    }
    about = describe_machine() | {
        "root": str(planned.manifest.root.absolute()),
        "weights": {"asked": planned.weights} | weights,
    }
    if not directory.begun:
        planned.manifest.write_csv(directory.data)
        write_text(directory.recipe, planned.recipe_text)
    directory.begin(purpose, about)


def _go_on(work: CrossValidating) -> None:
    if work.directory.complete:
        work.setting.reporter.say(f"{work.directory.path}: all folds are scored already.")
        return
    work.show()
    work.run()


def _train_final(
    directory: ExperimentDirectory,
    data: PathName,
    recipe: PathName | Recipe,
    overrides: Sequence[str],
    weights: PathName | None,
    planned: Plan,
    reporter: Reporter,
) -> None:
    """The classifier: as `train` makes it, and without a test part of ours taken out of DATA."""
    if is_run(directory.final):
        if not RunDirectory(directory.final).complete:
            resume(directory.final, reporter=reporter)
        return
    more = [] if planned.manifest.part("test") else [ALL_TEACH]
    reporter.say(
        "Now the classifier that all images teach. Its honest scores are those of cv.json."
    )
    train(
        data,
        _once_chosen(recipe, directory),
        overrides=[*overrides, *more],
        weights=weights,
        out=directory.final,
        reporter=reporter,
    )
