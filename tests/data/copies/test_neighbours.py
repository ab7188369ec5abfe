from __future__ import annotations

import numpy as np
import pytest

from finetune.data.copies.neighbours import FARTHEST, MOST, Neighbours, codes


def vectors(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 100)).astype(np.float32)


def bits(one, other):
    return np.bitwise_count(one ^ other).sum(axis=-1)


@pytest.mark.parametrize(("share", "least"), [(0.1, 1.0), (0.35, 0.97)])
def test_what_is_near_is_found_among_many(share, least):
    known = vectors(20_000)
    wanted = known[:500] + share * vectors(500, seed=1)
    rows, found = Neighbours(codes(known)).nearest(codes(wanted))
    assert np.mean(np.isin(np.arange(500), rows[rows == found])) >= least


def test_what_is_far_is_not():
    rows, _ = Neighbours(codes(vectors(5000))).nearest(codes(vectors(500, seed=2)))
    assert len(rows) == 0


def test_the_nearest_are_named_and_each_once():
    known = codes(vectors(300)[:1] + 0.3 * vectors(300, seed=3))
    rows, found = Neighbours(known).nearest(known)
    assert bits(known[rows], known[found]).max() <= FARTHEST
    assert set(zip(range(300), range(300), strict=True)) <= set(zip(rows, found, strict=True))
    assert len(set(zip(rows.tolist(), found.tolist(), strict=True))) == len(rows)
    assert np.bincount(rows).max() == MOST


def test_few_are_searched_as_well():
    known = codes(vectors(1))
    rows, found = Neighbours(known).nearest(known)
    assert (rows.tolist(), found.tolist()) == ([0], [0])
