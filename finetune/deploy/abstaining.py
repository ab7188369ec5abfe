"""When a classifier doesn't answer, on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from finetune.evaluation.abstention import Abstention, Conformal, Precision, Unlike
from finetune.files import as_usual, full_disk_told, reach_disk, write_json

_NUMBERS, _NEIGHBOURS = "abstention.json", "neighbours.safetensors"


def write_abstention(folder: Path, abstention: Abstention, classes: Sequence[str]) -> None:
    """Write ``abstention.json`` and ``neighbours.safetensors``; nothing where there is nothing."""
    if not abstention:
        return
    if unlike := abstention.unlike:
        path = folder / _NEIGHBOURS
        with full_disk_told(folder):
            save_file({"directions": unlike.kept}, path)
        as_usual(path)
        reach_disk(path)
    write_json(folder / _NUMBERS, _numbers(abstention, classes))


def _numbers(abstention: Abstention, classes: Sequence[str]) -> dict[str, Any]:
    precision, conformal, unlike = abstention.precision, abstention.conformal, abstention.unlike
    return {
        "precision": precision
        and {
            "target": precision.target,
            "thresholds": dict(zip(classes, precision.thresholds, strict=True)),
            "images": precision.images,
        },
        "coverage": conformal
        and {"target": conformal.coverage, "limit": conformal.limit, "images": conformal.images},
        "unlike": unlike
        and {"target": unlike.share, "limit": unlike.limit, "images": unlike.images},
    }


def read_abstention(folder: Path, classes: Sequence[str]) -> Abstention:
    """What `write_abstention` wrote.

    Raises:
        OSError, ValueError, KeyError, TypeError: It is damaged.
    """
    if not (folder / _NUMBERS).is_file():
        return Abstention()
    held = json.loads((folder / _NUMBERS).read_text(encoding="utf-8"))
    precision, coverage, unlike = held["precision"], held["coverage"], held["unlike"]
    return Abstention(
        precision=precision
        and Precision(
            float(precision["target"]),
            tuple(precision["thresholds"][name] for name in classes),
            int(precision["images"]),
        ),
        conformal=coverage and Conformal(*_three(coverage)),
        unlike=unlike and Unlike(*_three(unlike), load_file(folder / _NEIGHBOURS)["directions"]),
    )


def _three(held: dict[str, Any]) -> tuple[float, float, int]:
    return float(held["target"]), float(held["limit"]), int(held["images"])
