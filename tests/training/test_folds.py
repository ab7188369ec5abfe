from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.training.folds import stratified_folds


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=80),
    folds=st.integers(2, 6),
    seed=st.integers(0, 5),
)
def test_each_image_is_in_one_fold_and_classes_are_alike(
    labels: list[int], folds: int, seed: int
) -> None:
    y = np.array(labels)
    cut = stratified_folds(y, folds, seed)
    held = np.concatenate([inside for _, inside in cut])
    assert sorted(held) == list(range(len(y)))
    for outside, inside in cut:
        assert sorted([*outside, *inside]) == list(range(len(y)))
    for label in set(labels):
        counts = [int((y[inside] == label).sum()) for _, inside in cut]
        assert max(counts) - min(counts) <= 1
    sizes = [len(inside) for _, inside in cut]
    assert max(sizes) - min(sizes) <= 1


@given(
    groups=st.lists(st.sampled_from("abcdefgh"), min_size=6, max_size=60),
    folds=st.integers(2, 4),
)
def test_no_group_is_cut(groups: list[str], folds: int) -> None:
    y = np.arange(len(groups)) % 2
    for outside, inside in stratified_folds(y, folds, 1, groups):
        assert not {groups[i] for i in outside} & {groups[i] for i in inside}


def test_an_empty_group_name_binds_nothing() -> None:
    y = np.zeros(10, dtype=np.int64)
    assert len(stratified_folds(y, 5, 1, [""] * 10)) == 5
    assert len(stratified_folds(y, 5, 1, ["a", *[""] * 9])) == 5


def test_no_fold_is_left_empty_where_there_are_groups_enough() -> None:
    labels = np.array([0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0])
    groups = [f"g{n // 2}" for n in range(12)]
    for seed in range(30):
        assert len(stratified_folds(labels, 4, seed, groups)) == 4
        assert len(stratified_folds(labels, 6, seed, groups)) == 6
