"""What trackers are told, read from the run directory and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.text import printable
from finetune.tracking.tracker import Beginning, Ending, Epoch

_NO_NUMBERS = ("fit", "phase")


def beginning_of(run: RunDirectory, recipe: Recipe) -> Beginning:
    """What ``environment.json`` and the recipe tell.

    Raises:
        RunError: The file is missing.
    """
    environment = run.read_json(run.environment)
    versions = {"python": environment["python"]} | environment["packages"]
    return Beginning(
        name=printable(run.path.resolve().name),
        data=printable(Path(environment["data"]["given"]).name),
        parameters=dict(parameters(recipe.model_dump()))
        | {f"version.{name}": version for name, version in versions.items() if version},
    )


def parameters(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each scalar, or list of scalars, with the dotted key that ``--set`` has for it."""
    places = _places(value)
    if not places:
        yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for place, each in places.items():
        yield from parameters(each, f"{key}.{place}" if key else place)


def _places(value: Any) -> dict[str, Any]:
    """What lies below ``value``: a list's mappings by their names, or places if names repeat."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return {}
    names = [str(each.get("name", place)) for place, each in enumerate(value)]
    if len(set(names)) < len(names):
        names = [str(place) for place in range(len(value))]
    return dict(zip(names, value, strict=True))


def epoch_of(step: int, cells: Mapping[str, str], phases: Sequence[str]) -> Epoch:
    """The row of ``log.csv`` that is number ``step``, from 1; ``phases`` as the recipe has them."""
    return Epoch(
        step=step,
        fit=cells["fit"],
        phase=cells["phase"],
        place=phases.index(cells["phase"]) + 1,
        numbers={k: float(cell) for k, cell in cells.items() if cell and k not in _NO_NUMBERS},
    )


def ending_of(run: RunDirectory) -> Ending:
    """What ``metrics.json`` and ``phases.json`` tell, and the files of the artefact.

    Raises:
        RunError: One of them is missing: the training has not ended.
    """
    metrics = run.read_json(run.metrics)
    return Ending(
        kept=run.read_json(run.phases)["kept"],
        scores=dict(_scores(metrics, metrics["split"])),
        root=run.path,
        files=run.evidence(),
    )


def _scores(metrics: Mapping[str, Any], split: str) -> Iterator[tuple[str, float]]:
    """The scores over all classes; those of each class, and of other kinds, are in the file."""
    yield f"{split}_n", float(metrics["n"])
    baseline = {f"baseline_{name}": score for name, score in metrics["baseline"].items()}
    for name, score in (dict(metrics) | baseline).items():
        if isinstance(score, dict) and {"value", "low", "high"} <= score.keys():
            for part, ending in (("value", ""), ("low", "_low"), ("high", "_high")):
                if score[part] is not None:
                    yield f"{split}_{name}{ending}", float(score[part])
