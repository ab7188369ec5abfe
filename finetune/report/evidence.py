"""All that a report of a run is made from: its directory, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data.manifest import Item, read_manifest
from finetune.errors import RunError
from finetune.evaluation.table import PredictionTable, read_predictions
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe
from finetune.report.answers import MOST_DOUBTS, Answer, answers, explained, pictured
from finetune.report.doubts import OUT_OF_FOLD, doubts
from finetune.report.kept_pictures import read_heat, read_thumbnails
from finetune.report.run_files import (
    MEND,
    Epoch,
    read_environment,
    read_epochs,
    read_metrics,
    read_phases,
)
from finetune.report.thumbnails import Thumbnail
from finetune.run import RunDirectory, is_run


@dataclass(frozen=True)
class Evidence:
    """What a run directory says.

    Attributes:
        name: Of the directory.
        recipe: As it was followed.
        recipe_text: Its file.
        environment: ``environment.json``.
        phases: ``phases.json``.
        metrics: ``metrics.json``.
        items: Every file of DATA.
        table: ``predictions.csv``.
        answers: To the images that the scores are of.
        judged: How many training images are judged out-of-fold; 0: nothing is known of them.
        doubts: What was said of those of them whose label is doubtful, the most doubtful first.
        log: A row an epoch; empty where no phase has epochs.
        thumbnails: By path, of those that are shown; None where none is kept.
        heat: Pictures with heat by path, of those that have one.
    """

    name: str
    recipe: Recipe
    recipe_text: str
    environment: Mapping[str, Any]
    phases: Mapping[str, Any]
    metrics: Mapping[str, Any]
    items: tuple[Item, ...]
    table: PredictionTable
    answers: list[Answer]
    judged: int
    doubts: list[Answer]
    log: list[Epoch]
    thumbnails: Mapping[str, Thumbnail | None]
    heat: Mapping[str, Thumbnail]


def read_evidence(run: RunDirectory) -> Evidence:
    """Read a run directory, and nothing else.

    Raises:
        RunError: The training has not come to its end, or a file is missing or can't be read.
        DataError: ``data.csv`` is missing or no list of images.
    """
    check_complete(run)
    metrics, items = read_metrics(run), read_manifest(run.data, run.path).items
    table = _table(run.predictions, metrics)
    unseen = _table(run.out_of_fold, metrics) if run.out_of_fold.is_file() else None
    scored, doubted = _scored(run, table, metrics), doubts(unseen, items)
    shown = {*pictured(scored), *(doubt.path for doubt in doubted[:MOST_DOUBTS])}
    heated = {answer.path for answer in explained(scored)}
    return Evidence(
        name=run.path.resolve().name,
        recipe=load_recipe(run.recipe),
        recipe_text=run.recipe.read_text(encoding="utf-8"),
        environment=read_environment(run),
        phases=read_phases(run),
        metrics=metrics,
        items=items,
        table=table,
        answers=scored,
        judged=0 if unseen is None else len(answers(unseen, OUT_OF_FOLD)),
        doubts=doubted,
        log=read_epochs(run),
        thumbnails=read_thumbnails(run, [item for item in items if item.path in shown]),
        heat=read_heat(run, [item for item in items if item.path in heated]),
    )


def _table(path: Path, metrics: Mapping[str, Any]) -> PredictionTable:
    """A table of predictions that fits the scores."""
    table = read_predictions(path)
    if table.classes != tuple(metrics["classes"]):
        told = "its classes are not those of metrics.json"
    elif {r.label for r in table.predictions if not r.error} - {*table.classes}:
        told = "there is a label in it that is none of its classes"
    else:
        return table
    raise RunError(told, where=str(path), mend=MEND)


def _scored(run: RunDirectory, table: PredictionTable, metrics: Mapping[str, Any]) -> list[Answer]:
    """The answers that the scores are of."""
    found = answers(table, metrics["split"])
    if len(found) != metrics["n"]:
        told = f"has {len(found)} images of the {metrics['split']} part; metrics.json scores"
        raise RunError(f"{told} {metrics['n']}", where=str(run.predictions), mend=MEND)
    return found


def check_complete(run: RunDirectory) -> None:
    """See to it that a training has come to its end.

    Raises:
        RunError: It has not, or there is none.
    """
    if is_run(run.path) and not run.complete:
        raise RunError(
            "its training has not come to its end",
            where=str(run.path),
            mend=f"Go on with it: finetune train --resume {run.path}",
        )
