"""What the command line and notebooks call: each function a short list of steps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.console import Reporter, automatic
from finetune.data.input_spec import InputSpec
from finetune.data.manifest import Manifest, read_manifest
from finetune.data.reading import check_exists, read_data
from finetune.data.rereading import read_labelled, verify_unchanged
from finetune.deploy.bundle import Classifier, load_bundle, save_bundle
from finetune.deploy.prediction import classify
from finetune.deploy.result import Run, predict_files
from finetune.deploy.scoring import predictions_for, score, score_read, unreadable
from finetune.deploy.table import to_frame, write_predictions
from finetune.environment import describe_machine
from finetune.errors import RunError
from finetune.model.backbone import Loaded, input_spec, load_backbone, local_dir_config
from finetune.model.device import pick_device
from finetune.model.precision import native_bfloat16
from finetune.model.pretrained import Choice
from finetune.model.weights import choose_weights, fetch_weights
from finetune.recipe.loading import load_recipe, resolve
from finetune.recipe.overrides import sets
from finetune.recipe.schema import EvaluateOptions, Recipe
from finetune.recipe.writing import dump
from finetune.run import RunDirectory, check_run_place, create_run, default_run_path
from finetune.training.binding import (
    check_names,
    check_processes,
    check_stages,
    check_validation,
    pick_precision,
)
from finetune.training.checkpoints import clear
from finetune.training.course import Trained, run_course
from finetune.training.estimate import estimate
from finetune.training.log import Log
from finetune.training.preview import show_plan
from finetune.training.setting import Setting

if TYPE_CHECKING:
    import pandas as pd

PathName = str | PathLike[str]

__all__ = ["Plan", "Run", "evaluate", "load_run", "plan", "predict", "resume", "train"]


@dataclass(frozen=True)
class Plan:
    """A training that has been judged possible and not yet begun.

    Attributes:
        recipe: The recipe, resolved: the backbone, size and precision that will be used.
        manifest: What is learnt from.
        loaded: The pretrained network with its new head, and where it came from.
        spec: How a picture becomes its input.
        weights: What was asked for as weights: a file's absolute path, ``none``, or None.
    """

    recipe: Recipe
    manifest: Manifest
    loaded: Loaded
    spec: InputSpec
    weights: str | None


def train(
    data: PathName,
    recipe: PathName | Recipe = "lp_ft",
    *,
    overrides: Sequence[str] = (),
    weights: PathName | None = None,
    out: PathName | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Learn to tell the classes of ``data`` apart.

    Args:
        data: A folder of class folders, a folder with ``train/`` beside other splits, or a CSV or
            Parquet file with the columns ``path`` and ``label``. Nothing in it is written to.
        recipe: A name of the catalogue, a YAML file, or a `Recipe`.
        overrides: ``KEY=VALUE`` each, as after ``--set`` on the command line.
        weights: A weights file, ``"none"``, or None: the backbone's own from the hub.
        out: Where the run directory is made; ``runs/<data>-<recipe>-<n>`` by default.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        FinetuneError: Something that the caller can mend, told before work starts where possible.
    """
    reporter = reporter or automatic()
    chosen = resolve(recipe, overrides)
    place = Path(out) if out else default_run_path(Path(data), chosen.name, Path.cwd())
    check_run_place(place, Path(data))
    planned = plan(data, recipe, overrides=overrides, weights=weights, reporter=reporter)
    run = RunDirectory(place)
    setting = _setting(planned, run, reporter)
    show_plan(setting, estimate(setting))
    create_run(place, Path(data))
    _write_beginning(run, planned, setting)
    return _complete(run, planned, setting)


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
    chosen = resolve(recipe, overrides)
    check_processes()
    check_names(chosen)
    asked = _absolute(weights)
    override = chosen.model.backbone if sets(overrides, "model.backbone") else None
    choice = choose_weights(chosen.model, asked, override)
    check_exists(Path(data))
    fetch_weights(choice)  # first: a hub that doesn't answer must not cost a look at every image
    manifest = read_data(Path(data), chosen.data, chosen.seed, reporter)
    check_validation(chosen, len(manifest.part("val")))
    loaded = _load(choice, len(manifest.classes), chosen)
    for line in loaded.report.lines():
        reporter.say(line)
    check_stages(chosen, loaded.model)
    spec = input_spec(loaded, chosen.input)
    planned = Plan(_resolved(chosen, loaded, spec), manifest, loaded, spec, asked)
    if show:
        setting = _setting(planned, None, reporter)
        show_plan(setting, estimate(setting))
    return planned


def resume(run: PathName, data: PathName | None = None, *, reporter: Reporter | None = None) -> Run:
    """Go on with a training that was interrupted, from the last epoch that it finished.

    Args:
        run: Its run directory.
        data: Where DATA lies now, if it has been moved.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        RunError: There is no such run, or data, weights or precision are not what they were.
        FinetuneError: What `train` raises.
    """
    reporter = reporter or automatic()
    directory = RunDirectory(Path(run))
    environment = directory.read_json(directory.environment)
    if directory.complete:
        reporter.say(f"{run} is complete; there is nothing to go on with.")
        return Run(directory)
    root = Path(data) if data else Path(environment["data"]["root"])
    recipe = load_recipe(directory.recipe)
    manifest = read_manifest(directory.data, root)
    verify_unchanged(manifest, recipe.data.max_pixels, reporter)
    choice = choose_weights(recipe.model, environment["weights"]["asked"], None)
    loaded = _load(choice, len(manifest.classes), recipe)
    _check_same_weights(directory, environment, loaded)
    spec = input_spec(loaded, recipe.input)
    planned = Plan(recipe, manifest, loaded, spec, environment["weights"]["asked"])
    return _complete(directory, planned, _setting(planned, directory, reporter))


def predict(
    model: PathName,
    inputs: PathName | Sequence[PathName],
    *,
    out: PathName | None = None,
    reporter: Reporter | None = None,
) -> pd.DataFrame:
    """Classify images.

    Args:
        model: A run directory, or the folder ``model`` of one.
        inputs: Images, folders of images, or globs.
        out: A CSV file to write besides; it must not exist.
        reporter: Who is told.

    Returns:
        A row for each image: ``path``, ``predicted``, ``confidence``, ``error`` where it can't be
        read, and ``p:<class>`` for each class.

    Raises:
        RunError: There is no model in ``model``, or ``out`` exists.
        DataError: An input names no image.
    """
    if out is not None:
        _refuse_existing(Path(out))
    classifier = load_bundle(Path(model))
    names = [inputs] if isinstance(inputs, (str, PathLike)) else inputs
    predictions = predict_files(classifier, [fspath(name) for name in names], reporter)
    if out is not None:
        write_predictions(Path(out), predictions, classifier.classes)
    return to_frame(predictions, classifier.classes)


def evaluate(
    model: PathName, data: PathName, out: PathName, *, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Score a classifier on labelled images that it has not learnt from.

    DATA may have fewer classes than the model; its test part is scored where it has one, all of it
    otherwise. ``predictions.csv`` and ``metrics.json`` are written to ``out``.

    Returns:
        The contents of ``metrics.json``.

    Raises:
        RunError: There is no model, or ``out`` is not empty.
        DataError: DATA can't be read or has classes that the model doesn't know.
    """
    reporter = reporter or automatic()
    target = Path(out)
    check_run_place(target, Path(data))
    classifier = load_bundle(Path(model))
    manifest = read_labelled(Path(data), classifier.classes, classifier.max_pixels, reporter)
    split = "test" if manifest.part("test") else "all"
    items = manifest.part("test") or tuple(i for i in manifest.items if i.status == "ok")
    logits, errors = classify(
        classifier, [manifest.file(item) for item in items], reporter, pick_device()
    )
    labels = manifest.labels(items)
    metrics = score_read(classifier, logits, labels, errors, split, EvaluateOptions(), 1)
    rows = predictions_for(items, logits, classifier.temperature, errors)
    rows += unreadable(manifest, {"test"} if split == "test" else {item.split for item in items})
    directory = RunDirectory(target)
    write_predictions(directory.predictions, rows, classifier.classes)
    directory.write_json(directory.metrics, metrics)
    return metrics


def load_run(run: PathName) -> Run:
    """A run directory whose training has ended.

    Raises:
        RunError: There is none.
    """
    directory = RunDirectory(Path(run))
    directory.read_json(directory.metrics)
    return Run(directory)


def _absolute(weights: PathName | None) -> str | None:
    if weights is None or fspath(weights) == "none":
        return None if weights is None else "none"
    return str(Path(weights).absolute())


def _load(choice: Choice, classes: int, recipe: Recipe) -> Loaded:
    return load_backbone(
        choice,
        classes,
        seed=recipe.seed,
        dropout=recipe.model.dropout,
        drop_path=recipe.model.drop_path,
        size=None if recipe.input.size == "auto" else recipe.input.size,
    )


def _resolved(recipe: Recipe, loaded: Loaded, spec: InputSpec) -> Recipe:
    """The recipe with what ``auto`` came to, so that it repeats the run elsewhere."""
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
            "input": recipe.input.model_copy(update={"size": spec.size}),
            "precision": precision,
        }
    )


def _setting(planned: Plan, run: RunDirectory | None, reporter: Reporter) -> Setting:
    folder = run or RunDirectory(Path())
    return Setting(
        recipe=planned.recipe,
        manifest=planned.manifest,
        spec=planned.spec,
        pristine=planned.loaded.model,
        device=pick_device(),
        precision=planned.recipe.precision,
        checkpoints=folder.checkpoints,
        log=Log(folder.log, folder.tensorboard),
        reporter=reporter,
    )


def _write_beginning(run: RunDirectory, planned: Plan, setting: Setting) -> None:
    """What a resumed run starts from; ``environment.json`` last, as the sign that all is there."""
    planned.manifest.write_csv(run.data)
    run.write_text(run.recipe, dump(planned.recipe))
    environment = describe_machine() | {
        "device": str(setting.device),
        "data": {
            "root": str(planned.manifest.root.absolute()),
            "digest": planned.manifest.digest(),
        },
        "weights": {"asked": planned.weights} | planned.loaded.report.to_dict(),
    }
    run.write_json(run.environment, environment)


def _complete(run: RunDirectory, planned: Plan, setting: Setting) -> Run:
    """Train, save, load what was saved, and score it."""
    with closing(setting.log):
        trained = run_course(setting)
    run.write_json(run.phases, trained.phases)
    save_bundle(run.model, _classifier(planned, setting, trained))
    metrics = _score_saved(run, planned, setting, trained)
    run.write_json(run.metrics, metrics)
    clear(run.checkpoints)
    return Run(run)


def _classifier(planned: Plan, setting: Setting, trained: Trained) -> Classifier:
    labels = setting.labels(planned.manifest.part("train"))
    classes = planned.manifest.classes
    return Classifier(
        model=trained.model,
        spec=planned.spec,
        classes=classes,
        temperature=trained.temperature,
        majority=classes[int(_commonest(labels))],
        max_pixels=planned.recipe.data.max_pixels,
        config=local_dir_config(planned.loaded, len(classes), planned.spec, classes),
    )


def _commonest(labels: Any) -> int:
    import numpy as np

    return int(np.bincount(labels).argmax())


def _score_saved(
    run: RunDirectory, planned: Plan, setting: Setting, trained: Trained
) -> dict[str, Any]:
    """Score the classifier as it lies on disk on the test part, or on validation without one."""
    manifest, recipe = planned.manifest, planned.recipe
    shipped = load_bundle(run.model)
    validation, test = manifest.part("val"), manifest.part("test")
    files = [manifest.file(item) for item in test]
    logits, errors = classify(
        shipped, files, setting.reporter, setting.device, setting.workers, "scoring"
    )
    rows = predictions_for(validation, trained.validation, shipped.temperature)
    rows += predictions_for(test, logits, shipped.temperature, errors) + unreadable(
        manifest, ("val", "test")
    )
    write_predictions(run.predictions, rows, shipped.classes)
    if test:
        labels = setting.labels(test)
        return score_read(shipped, logits, labels, errors, "test", recipe.evaluate, recipe.seed)
    setting.reporter.warn(
        "There is no test part: the scores are those of the validation part, on which choices were "
        "made, and flatter the model."
    )
    labels = setting.labels(validation)
    return score(shipped, trained.validation, labels, "val", recipe.evaluate, recipe.seed)


def _check_same_weights(
    directory: RunDirectory, environment: dict[str, Any], loaded: Loaded
) -> None:
    was, now = environment["weights"]["digest"], loaded.report.digest
    if was != now:
        raise RunError(
            f"its weights were {environment['weights']['source']} with digest {was[:12]}; now "
            f"they have {now[:12]}",
            where=str(directory.path),
            mend="Put the same weights back, or start a new run.",
        )


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise RunError("exists already", where=str(path), mend="Name another file with --out.")
