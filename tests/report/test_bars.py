from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.report.bars import Segment, stacked

COUNTS = st.dictionaries(st.sampled_from(["train", "val", "test"]), st.integers(0, 10**6))


def test_pieces_follow_one_another():
    assert list(stacked({"train": 5, "val": 0, "test": 3}, 10)) == [
        Segment("train", 0, 50),
        Segment("test", 50, 30),
    ]


@given(COUNTS, st.integers(0, 10**6))
def test_a_bar_is_as_long_as_its_share(counts, more):
    total = sum(counts.values())
    segments = list(stacked(counts, total + more))
    length = sum(segment.width for segment in segments)
    assert length == pytest.approx(100 * total / max(total + more, 1), abs=0.02)
    for before, after in pairwise(segments):
        assert after.start == pytest.approx(before.start + before.width, abs=0.02)
