"""Training images whose label is doubtful, by what a run keeps of them out-of-fold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from finetune.data.manifest import Item
from finetune.evaluation.clusters import group_numbers
from finetune.evaluation.table import PredictionTable
from finetune.inspection.suspects import suspects
from finetune.report.answers import Answer, answers

OUT_OF_FOLD = "out-of-fold"
"""What stands for the part in ``out_of_fold.csv``."""


def doubts(table: PredictionTable | None, items: Iterable[Item]) -> list[Answer]:
    """What is said of the images that `suspects` lists, the most doubtful first.

    Args:
        table: ``out_of_fold.csv``; None: there is none.
        items: The files of DATA, for their groups.
    """
    if table is None:
        return []
    given = answers(table, OUT_OF_FOLD)
    by_path = {item.path: item.group for item in items}
    index = {name: place for place, name in enumerate(table.classes)}
    found = suspects(
        np.array([row.probabilities for row in table.predictions if row.split == OUT_OF_FOLD]),
        np.array([index[answer.label] for answer in given], dtype=np.int64),
        table.classes,
        group_numbers([by_path.get(answer.path, "") for answer in given]),
    )
    return [given[each.place] for each in found]
