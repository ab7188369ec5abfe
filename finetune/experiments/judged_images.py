"""What runs said of their test images, brought together: the same images, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.data.manifest import read_manifest
from finetune.errors import RunError
from finetune.evaluation.table import Prediction, PredictionTable, read_predictions
from finetune.experiments.directory import read_json
from finetune.run import RunDirectory
from finetune.text import listed, plural

_SAME = (
    "Compare runs of the same DATA, with the same seed and shares; or score both on the same "
    "images with finetune evaluate, and compare the folders that it writes."
)


@dataclass(frozen=True)
class Cost:
    """What a classifier costs, where its run says so.

    Attributes:
        parameters: Of the network.
        seconds: Wall time of its phases, without reading, features and scoring.
    """

    parameters: int | None
    seconds: float | None


@dataclass(frozen=True)
class Side:
    """What one run, or one folder of `finetune evaluate`, said of its images.

    Attributes:
        name: What it is called: its folder as it was given.
        split: The part of its data that is judged, as its ``metrics.json`` says.
        classes: The classes that it knows.
        said: Its answers by path.
        digests: Of its images' files by path; empty where there is no ``data.csv``.
        groups: Of its images by path, where there are any.
        cost: What it costs.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    said: dict[str, Prediction]
    digests: dict[str, str]
    groups: dict[str, str]
    cost: Cost

    def probabilities(self, paths: Sequence[str], classes: Sequence[str]) -> np.ndarray:
        """``[N, C]``; nought for classes that it does not know."""
        places = {name: place for place, name in enumerate(self.classes)}
        known = [places.get(name, len(places)) for name in classes]
        rows = np.stack([self.said[path].probabilities for path in paths])  # type: ignore[misc]
        return np.hstack([rows, np.zeros((len(rows), 1))])[:, known]


def read_side(folder: Path) -> Side:
    """What a run directory, or a folder that `finetune evaluate` wrote, says of its images.

    Raises:
        RunError: There are no predictions in it.
    """
    run = RunDirectory(folder)
    if not run.predictions.is_file():
        raise RunError(
            "there is no predictions.csv in it" if folder.is_dir() else "there is no such folder",
            where=str(folder),
            mend="Name run directories that are complete, or folders that finetune evaluate wrote.",
        )
    table = read_predictions(run.predictions)
    split = str(read_json(run.metrics)["split"]) if run.metrics.is_file() else _split_of(table)
    rows = [row for row in table.predictions if split in ("all", row.split) and not row.error]
    if not rows:
        raise RunError(f"no image of its {split} part was judged", where=str(folder))
    known = read_manifest(run.data, folder).items if run.data.is_file() else ()
    return Side(
        name=str(folder),
        split=split,
        classes=table.classes,
        said={row.path: row for row in rows},
        digests={item.path: item.digest for item in known},
        groups={item.path: item.group for item in known if item.group},
        cost=cost_of(run.phases),
    )


def check_same(one: Side, other: Side) -> None:
    """See to it that both judged the same images, under the same labels.

    Raises:
        RunError: They did not; how they differ is told.
    """
    faults = list(_missing(one, other)) + list(_missing(other, one))
    both = sorted(one.said.keys() & other.said.keys())
    changed = [p for p in both if _differ(one.digests.get(p), other.digests.get(p))]
    relabelled = [p for p in both if one.said[p].label != other.said[p].label]
    if changed:
        faults.append(f"{plural(len(changed), 'image')} with other bytes: {listed(changed)}")
    if relabelled:
        count = plural(len(relabelled), "image")
        faults.append(f"{count} under another label: {listed(relabelled)}")
    if faults:
        raise RunError(
            "\n".join(["they were not judged on the same images:", *faults]),
            where=f"{one.name} and {other.name}",
            mend=_SAME,
        )


def _missing(one: Side, other: Side) -> list[str]:
    missing = sorted(one.said.keys() - other.said.keys())
    return [f"{plural(len(missing), 'image')} in {one.name} alone: {listed(missing)}"] * bool(
        missing
    )


def _differ(one: str | None, other: str | None) -> bool:
    return bool(one and other and one != other)


def _split_of(table: PredictionTable) -> str:
    return "test" if any(row.split == "test" for row in table.predictions) else "all"


def cost_of(phases: Path) -> Cost:
    """What a ``phases.json`` says; nothing where there is none."""
    if not phases.is_file():
        return Cost(None, None)
    records: list[dict[str, Any]] = read_json(phases)["phases"]
    stages: list[dict[str, Any]] = next((r["stages"] for r in records if "stages" in r), [])
    seconds = [record["seconds"] for record in records if "seconds" in record]
    return Cost(sum(stage["parameters"] for stage in stages) or None, sum(seconds))
