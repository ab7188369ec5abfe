from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.inspection import lookalikes
from finetune.inspection.lookalikes import alike


def features(count: int, seed: int, twins: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
    for number in range(twins):
        made[2 * number + 1] = 3 * made[2 * number] + 0.01
    return made


def test_twins_are_found_whatever_their_length() -> None:
    found = alike(features(40, 1, twins=3), [])
    assert {(one, other) for one, other, _ in found} == {(0, 1), (2, 3), (4, 5)}
    assert [c for _, _, c in found] == sorted((c for _, _, c in found), reverse=True)


def test_what_is_known_is_left_out() -> None:
    found = alike(features(40, 1, twins=3), [[0, 1], [2, 3]])
    assert {(one, other) for one, other, _ in found} == {(4, 5)}


def test_a_third_one_is_found_beside_a_known_pair() -> None:
    made = features(30, 2)
    made[1] = made[2] = made[0]
    assert {(one, other) for one, other, _ in alike(made, [[0, 1]])} <= {(0, 2), (1, 2)}
    assert alike(made, [[0, 1]])
    assert alike(made, [[0, 1, 2]]) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 30), st.integers(0, 5), st.integers(0, 99))
def test_blocks_change_nothing(count: int, twins: int, seed: int) -> None:
    made = features(count, seed, min(twins, count // 2))
    whole = alike(made, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookalikes, "_AT_ONCE", 4)
        pieces = alike(made, [])
    assert [pair[:2] for pair in pieces] == [pair[:2] for pair in whole]
    assert all(one < other and cosine >= lookalikes.ALIKE for one, other, cosine in whole)


def test_images_without_features_to_compare() -> None:
    assert alike(np.zeros((0, 8), np.float32), []) == []
    assert alike(np.ones((1, 8), np.float32), []) == []
    assert alike(np.ones((5, 8), np.float32), []) == []
