from __future__ import annotations

import numpy as np
import pytest

from finetune.recipe.schema import Recipe
from finetune.training.judging import ENOUGH, ENOUGH_GROUPS, judged_folds, wants_folds

PROBE = {"name": "probe", "solver": "lbfgs"}
TUNE = {"name": "tune", "train": "all", "epochs": 1}


@pytest.mark.parametrize(
    ("images", "folds"), [(30, 3), (290, 3), (400, 2), (597, 2), (600, 1), (5000, 1)]
)
def test_as_many_folds_are_judged_as_give_enough_images(images: int, folds: int) -> None:
    labels = np.arange(images) % 3
    judged = judged_folds(labels, None, 3, 1)
    assert len(judged) == folds
    held = np.concatenate([judge for _, judge in judged])
    assert len(set(held)) == len(held)
    assert len(held) >= min(ENOUGH, images)
    for learn, judge in judged:
        assert not set(learn) & set(judge)


@pytest.mark.parametrize(
    ("phases", "keep", "validation", "wanted"),
    [
        ([PROBE, TUNE], "best", 199, True),
        ([PROBE, TUNE], "best", 200, False),
        ([PROBE, TUNE], "last", 10, False),
        ([PROBE], "best", 10, False),
    ],
)
def test_folds_are_for_a_choice_with_too_little_validation(
    phases: list[dict[str, object]], keep: str, validation: int, wanted: bool
) -> None:
    recipe = Recipe.model_validate({"name": "r", "phases": phases, "keep": keep})
    assert wants_folds(recipe, validation) == wanted


@pytest.mark.parametrize(("sizes", "folds"), [([350, *[5] * 130], 2), ([100] * 10, 3)])
def test_one_large_group_does_not_judge_alone(sizes: list[int], folds: int) -> None:
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    labels = np.arange(len(groups)) % 3

    judged = judged_folds(labels, groups, 3, 1)

    seen = {groups[place] for _, judge in judged for place in judge}
    assert len(judged) == folds
    assert len(seen) >= min(ENOUGH_GROUPS, len(sizes))
