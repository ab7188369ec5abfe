from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune.data.manifest import Item, Manifest
from finetune.errors import DataError
from finetune.experiments.folds import fold_warnings, folds_of_pool
from finetune.recipe.loading import load_recipe

RECIPE = load_recipe("linear_probe")


def _manifest(labels: list[int], groups: list[str]) -> Manifest:
    items = [
        Item(f"{n:04}.png", f"class-{label}", "train", group)
        for n, (label, group) in enumerate(zip(labels, groups, strict=True))
    ]
    return Manifest.of(Path("data"), items)


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=12, max_size=60),
    folds=st.integers(2, 5),
    repeats=st.integers(1, 3),
    every=st.sampled_from([0, 2]),
)
@example(labels=[0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0], folds=4, repeats=1, every=2)
def test_every_image_is_judged_once_a_repeat_and_no_group_is_cut(
    labels: list[int], folds: int, repeats: int, every: int
) -> None:
    groups = [f"g{n // every}" if every else "" for n in range(len(labels))]
    manifest = _manifest(labels, groups)
    cut = folds_of_pool(manifest, manifest.items, RECIPE, folds, repeats)
    for repeat in range(1, repeats + 1):
        own = [fold for fold in cut if fold.repeat == repeat]
        assert len(own) == folds
        judged = sorted(int(place) for fold in own for place in fold.positions)
        assert judged == list(range(len(labels)))
    for fold in cut:
        learnt = {item.path for item in fold.trial.learnt}
        tested = {item.path for item in fold.trial.judged}
        assert not learnt & tested
        assert learnt | tested == {item.path for item in manifest.items}
        for part in ("train", "val"):
            own_groups = {i.group for i in fold.trial.learnt if i.split == part and i.group}
            rest = [i for i in (*fold.trial.learnt, *fold.trial.judged) if i.split != part]
            assert not own_groups & {item.group for item in rest}


def test_repeats_cut_in_other_ways_and_always_the_same() -> None:
    manifest = _manifest([0, 1] * 20, [""] * 40)
    first, second = (folds_of_pool(manifest, manifest.items, RECIPE, 4, 2) for _ in range(2))
    assert all((a.positions == b.positions).all() for a, b in zip(first, second, strict=True))
    assert any(
        (a.positions != b.positions).any() for a, b in zip(first[:4], first[4:], strict=True)
    )


def test_too_few_groups_are_told() -> None:
    manifest = _manifest([0, 1] * 6, ["a", "b", "c"] * 4)
    with pytest.raises(DataError, match="3 groups can't be cut into 5 folds"):
        folds_of_pool(manifest, manifest.items, RECIPE, 5, 1)


def test_classes_that_folds_lack_are_told() -> None:
    manifest = _manifest([0] * 10 + [1] * 3 + [2], [""] * 14)
    lonely, few = fold_warnings(manifest.items, 5)
    assert "class-2" in lonely
    assert "class-1" in few
