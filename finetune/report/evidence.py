"""All that a report of a run is made from: its directory, read."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.data.manifest import Item, read_manifest
from finetune.errors import RunError
from finetune.evaluation.table import PredictionTable, read_predictions
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe
from finetune.report.answers import Answer, answers, pictured
from finetune.report.kept_pictures import read_pictures
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
        log: A row an epoch; empty where no phase has epochs.
        thumbnails: By path, of those that are kept.
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
    log: list[dict[str, str]]
    thumbnails: Mapping[str, Thumbnail | None]


def read_evidence(run: RunDirectory) -> Evidence:
    """Read a run directory, and nothing else.

    Raises:
        RunError: The training has not come to its end, or a file is missing or can't be read.
        DataError: ``data.csv`` is missing or no list of images.
    """
    check_complete(run)
    metrics = run.read_json(run.metrics)
    table = read_predictions(run.predictions)
    items = read_manifest(run.data, run.path).items
    scored = answers(table, metrics["split"])
    shown = set(pictured(scored))
    return Evidence(
        name=run.path.resolve().name,
        recipe=load_recipe(run.recipe),
        recipe_text=run.recipe.read_text(encoding="utf-8"),
        environment=run.read_json(run.environment),
        phases=run.read_json(run.phases),
        metrics=metrics,
        items=items,
        table=table,
        answers=scored,
        log=_log(run),
        thumbnails=read_pictures(run, [item for item in items if item.path in shown]),
    )


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


def _log(run: RunDirectory) -> list[dict[str, str]]:
    if not run.log.is_file():
        return []
    with run.log.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
