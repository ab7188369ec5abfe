"""What cross-validations said of their images, brought together: the same folds, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from finetune.data.manifest import read_manifest
from finetune.errors import RunError
from finetune.evaluation.paired_folds import Folds
from finetune.evaluation.table import PredictionTable, read_predictions
from finetune.experiments.directory import ExperimentDirectory, read_json
from finetune.experiments.judged_images import Cost, Side, check_same, cost_of
from finetune.text import listed, plural

_SAME = "Cross-validate both with the same DATA, seed, --folds and --repeats."


@dataclass(frozen=True)
class FoldedSide:
    """What one cross-validation said of its images.

    Attributes:
        repeats: What each of its repeats said of all images.
        folds: The fold of each image in each repeat, by path.
        judged_per_learnt: Images that judge a training for each that it learns from, on average.
    """

    repeats: tuple[Side, ...]
    folds: tuple[dict[str, int], ...]
    judged_per_learnt: float

    @property
    def images(self) -> Side:
        """Its images, and the first repeat's answers to them."""
        return self.repeats[0]

    @property
    def cut(self) -> str:
        """``5 folds and 2 repeats``."""
        folds = len({fold for repeat in self.folds for fold in repeat.values()})
        return f"{plural(folds, 'fold')} and {plural(len(self.folds), 'repeat')}"

    def probabilities(self, paths: Sequence[str], classes: Sequence[str]) -> np.ndarray:
        """``[R, N, C]``; nought for classes that it does not know."""
        return np.stack([side.probabilities(paths, classes) for side in self.repeats])

    def cut_of(self, paths: Sequence[str]) -> Folds:
        """Its folds, for images in this order."""
        numbers = [[repeat[path] for path in paths] for repeat in self.folds]
        return Folds(np.array(numbers), self.judged_per_learnt)


def read_folded(folder: Path) -> FoldedSide:
    """What the directory of a cross-validation says.

    Raises:
        RunError: It has not come to its end, or a file in it is missing.
    """
    directory = ExperimentDirectory(folder)
    if not directory.complete:
        raise RunError(
            "its cross-validation has not come to its end",
            where=str(folder),
            mend="Give the command that began it once more, with the same --out.",
        )
    table = read_predictions(directory.out_of_fold)
    trainings = read_json(directory.scores)["by_fold"]
    repeats = sorted({int(cell) for cell in table.more["repeat"]})
    return FoldedSide(
        tuple(_repeat(directory, table, number) for number in repeats),
        tuple(_folds(table, number) for number in repeats),
        fmean(each["n"] / each["learnt_from"] for each in trainings),
    )


def _repeat(directory: ExperimentDirectory, table: PredictionTable, number: int) -> Side:
    said = {
        row.path: row
        for row, repeat in zip(table.predictions, table.more["repeat"], strict=True)
        if int(repeat) == number
    }
    known = read_manifest(directory.data, directory.path).items
    return Side(
        name=str(directory.path),
        split="out-of-fold",
        classes=table.classes,
        said=said,
        digests={item.path: item.digest for item in known},
        groups={item.path: item.group for item in known if item.group},
        cost=_cost(directory),
    )


def _folds(table: PredictionTable, number: int) -> dict[str, int]:
    cells = zip(table.predictions, table.more["repeat"], table.more["fold"], strict=True)
    return {row.path: int(fold) for row, repeat, fold in cells if int(repeat) == number}


def _cost(directory: ExperimentDirectory) -> Cost:
    """Of one training, on average."""
    found = [cost_of(path) for path in directory.folds.glob("*/phases.json")]
    seconds = [cost.seconds for cost in found if cost.seconds is not None]
    parameters = next((cost.parameters for cost in found), None)
    return Cost(parameters, fmean(seconds) if seconds else None)


def check_same_folds(one: FoldedSide, other: FoldedSide) -> None:
    """See to it that both judged the same images, each in the same fold.

    Raises:
        RunError: They did not; how they differ is told.
    """
    check_same(one.images, other.images)
    if one.cut != other.cut:
        faults = [f"{side.cut} in {side.images.name}" for side in (one, other)]
    else:
        moved = sorted(
            {
                path
                for mine, theirs in zip(one.folds, other.folds, strict=True)
                for path in mine
                if mine[path] != theirs[path]
            }
        )
        faults = (
            [f"{plural(len(moved), 'image')} in another fold: {listed(moved)}"] if moved else []
        )
    if faults:
        raise RunError(
            "\n".join(["they were not cut into the same folds:", *faults]),
            where=f"{one.images.name} and {other.images.name}",
            mend=_SAME,
        )
