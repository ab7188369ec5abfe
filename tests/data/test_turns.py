from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.batches import TrainBatches
from finetune.data.turns import ClassTurns

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


def shown(turns: ClassTurns, epochs: int) -> list[list[tuple[int, int, int]]]:
    return [[tuple(key) for key in turns.keys(3, 1, epoch)] for epoch in range(epochs)]


@given(LABELS, st.integers(1, 90), st.integers(1, 4))
def test_classes_count_equally_and_no_showing_has_a_twin(labels, images, epochs):
    turns = ClassTurns(labels, images)
    drawn = shown(turns, epochs)
    present = len(set(labels.tolist()))
    for epoch in drawn:
        assert len(epoch) == images
        counts = Counter(int(labels[position]) for position, _, _ in epoch)
        assert max(counts.values()) - (min(counts.values()) if len(counts) == present else 0) <= 1
    every = [key for epoch in drawn for key in epoch]
    assert len(set(every)) == len(every)


@given(LABELS, st.integers(1, 90), st.integers(1, 4))
def test_no_image_comes_again_before_the_others_of_its_class(labels, images, epochs):
    turns = ClassTurns(labels, images)
    times = Counter(position for epoch in shown(turns, epochs) for position, _, _ in epoch)
    most = turns.times(epochs)
    for label in set(labels.tolist()):
        own = [times[int(position)] for position in np.flatnonzero(labels == label)]
        assert max(own) - min(own) <= 1
        assert max(own) <= most[labels == label][0]


def test_rare_images_have_more_views_and_all_together_hardly_more() -> None:
    labels = np.repeat([0, 1], [90, 10])
    views = ClassTurns(labels, 100).views(8)
    assert views[0] == 5  # 8 views of a sample of 50 in 90
    assert views[-1] == 40
    assert views.sum() <= 8 * 100 + 100


def test_batches_follow_the_turns_and_go_on_within_an_epoch() -> None:
    turns = ClassTurns(np.repeat([0, 1], [18, 2]), 12)
    whole, rest = (TrainBatches(20, 4, 1, 0, 2, first, turns) for first in (0, 2))
    assert list(whole)[2:] == list(rest)
    assert [len(batch) for batch in whole] == [4, 4, 4]
    keys = [key for batch in whole for key in batch]
    assert sorted(keys) == sorted(turns.keys(1, 0, 2))
    assert sum(key.position >= 18 for key in keys) == 6
    assert keys != turns.keys(1, 0, 2)  # in an order of their own
