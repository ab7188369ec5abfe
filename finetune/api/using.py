"""Using what was trained: predict, evaluate, load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.api.planning import PathName
from finetune.console import Reporter, automatic
from finetune.data.manifest import Item, read_manifest
from finetune.data.rereading import read_labelled
from finetune.deploy.answering import predict_files
from finetune.deploy.bundle import load_bundle
from finetune.deploy.embedding import Embeddings, embed_files, write_embeddings
from finetune.deploy.prediction import look
from finetune.deploy.result import Run
from finetune.deploy.scoring import predictions_for, score_read, unreadable
from finetune.errors import DataError, RunError
from finetune.evaluation.table import to_frame, write_predictions
from finetune.model.device import pick_device
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import EvaluateOptions
from finetune.run import RunDirectory, check_run_place, check_writable, is_run
from finetune.text import listed, plural

if TYPE_CHECKING:
    import pandas as pd


def predict(
    model: PathName,
    inputs: PathName | Sequence[PathName],
    *,
    out: PathName | None = None,
    abstain: bool = False,
    reporter: Reporter | None = None,
) -> pd.DataFrame:
    """Classify images.

    Args:
        model: A run directory, or the folder ``model`` of one.
        inputs: Images, folders of images, or globs.
        out: A CSV file to write besides; it must not exist.
        abstain: Predict no class where the model knows that it shouldn't; ``reason`` says why.
        reporter: Who is told.

    Returns:
        A row for each image: ``path``, ``predicted``, ``confidence``, ``error`` where it can't be
        read, ``reason`` where it isn't answered, and ``p:<class>`` for each class.

    Raises:
        RunError: There is no model in ``model``, ``out`` exists, or the model is to abstain and
            doesn't know when.
        DataError: An input names no image.
    """
    if out is not None:
        _refuse_existing(Path(out))
    classifier = load_bundle(Path(model))
    predictions = predict_files(classifier, inputs, reporter, abstain=abstain)
    if out is not None:
        write_predictions(Path(out), predictions, classifier.classes)
    return to_frame(predictions, classifier.classes)


def embed(
    model: PathName,
    inputs: PathName | Sequence[PathName],
    *,
    out: PathName | None = None,
    reporter: Reporter | None = None,
) -> Embeddings:
    """What a trained network's classifier takes of images: a vector each, to search by likeness.

    Args:
        model: A run directory, or the folder ``model`` of one.
        inputs: Images, folders of images, or globs.
        out: A Parquet file to write besides; it must not exist.
        reporter: Who is told.

    Returns:
        ``paths`` and ``errors`` of the files, and ``features``, float32 ``[N, D]``, whose rows are
        ``nan`` where a file can't be read.

    Raises:
        RunError: There is no model in ``model``, ``out`` exists, or is no ``.parquet`` file.
        DataError: An input names no image.
    """
    if out is not None:
        _refuse_other_ending(Path(out))
        _refuse_existing(Path(out))
    classifier = load_bundle(Path(model))
    embeddings = embed_files(classifier, inputs, reporter)
    if out is not None:
        write_embeddings(Path(out), embeddings)
    return embeddings


def evaluate(
    model: PathName, data: PathName, out: PathName, *, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Score a classifier on labelled images that it has not learnt from.

    DATA may have fewer classes than the model; its test part is scored where it has one, all of it
    otherwise. The intervals cover what the run's recipe says. ``predictions.csv``,
    ``metrics.json`` and ``data.csv``, with the images' digests and groups, are written to ``out``.

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
    splits = {item.split for item in manifest.items}
    split, scored = ("test", {"test"}) if "test" in splits else ("all", splits)
    items = [i for i in manifest.items if i.status == "ok" and i.split in scored]
    if not items:
        raise DataError("its test part has no image that can be read", where=str(data))
    _warn_of_known(Path(model), items, reporter)
    files = [manifest.file(item) for item in items]
    seen = look(classifier, files, reporter, pick_device())
    options, seed = _scoring_options(Path(model))
    metrics = score_read(
        classifier,
        seen,
        manifest.labels(items),
        split,
        options,
        seed,
        groups=[item.group for item in items],
    )
    rows = predictions_for(items, seen.logits, classifier.temperature, seen.errors)
    rows += unreadable(manifest, scored)
    directory = RunDirectory(target)
    write_predictions(directory.predictions, rows, classifier.classes)
    manifest.write_csv(directory.data)
    directory.write_json(directory.metrics, metrics)
    return metrics


def _scoring_options(model: Path) -> tuple[EvaluateOptions, int]:
    """How the recipe of the run scores, and its seed; a model away from its run: the defaults."""
    run = _run_of(model)
    if run is None:
        return EvaluateOptions(), 1
    recipe = load_recipe(run.recipe)
    return recipe.evaluate, recipe.seed


def _warn_of_known(model: Path, items: Sequence[Item], reporter: Reporter) -> None:
    """Tell of images that the run has learnt from or made its choices on: they flatter scores."""
    run = _run_of(model)
    if run is None or not run.data.is_file():
        return
    learnt = read_manifest(run.data, Path())
    known = {item.digest for part in ("train", "val") for item in learnt.part(part)}
    seen = [item.path for item in items if item.digest in known]
    if seen:
        count = plural(len(seen), "image is", "images are")
        reporter.warn(
            f"{count} byte for byte among those that the model was trained or chosen on, which "
            f"flatters the scores: {listed(seen, 4)}"
        )


def _run_of(model: Path) -> RunDirectory | None:
    """The run that a model lies in; None for a model away from its run."""
    folder = model if is_run(model) else model.parent
    run = RunDirectory(folder)
    return run if is_run(folder) and model in (folder, run.model) else None


def load_run(run: PathName) -> Run:
    """A run directory whose training has ended.

    Raises:
        RunError: There is none.
    """
    directory = RunDirectory(Path(run))
    directory.read_json(directory.metrics)
    return Run(directory)


def _refuse_existing(path: Path) -> None:
    """Before the work: nothing is overwritten, and nothing is lost for want of a place."""
    if path.exists():
        raise RunError("exists already", where=str(path), mend="Name another file with --out.")
    check_writable(path)


def _refuse_other_ending(path: Path) -> None:
    if path.suffix.lower() != ".parquet":
        raise RunError(
            "features are written as Parquet alone",
            where=str(path),
            mend="Let the name of --out end in .parquet; `run.embed` in Python gives an array.",
        )
