from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.data.manifest import Item
from finetune.errors import DataError
from finetune.experiments.subsets import automatic_sizes, checked_sizes, nested_subset


def _items(*counts: int) -> list[Item]:
    return [Item(f"{c}/{n}.png", f"c{c}") for c, count in enumerate(counts) for n in range(count)]


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    size=st.integers(1, 20),
    seed=st.integers(0, 2**40),
)
def test_smaller_parts_lie_in_larger_ones_and_hold_each_class(
    counts: list[int], size: int, seed: int
) -> None:
    items = _items(*counts)
    small, large = (nested_subset(items, n, seed, 3) for n in (size, size + 2))
    assert set(small) <= set(large)
    assert Counter(i.label for i in small) == {
        f"c{c}": min(size, count) for c, count in enumerate(counts)
    }
    assert small == [item for item in items if item in set(small)]


def test_each_repeat_draws_others() -> None:
    items = _items(30, 30)
    assert nested_subset(items, 5, 1, 0) != nested_subset(items, 5, 1, 1)
    assert nested_subset(items, 5, 1, 0) == nested_subset(items, 5, 1, 0)


def test_sizes() -> None:
    assert automatic_sizes(_items(80, 100)) == [5, 9, 17, 30, 55, 100]
    assert automatic_sizes(_items(10, 6))[0] == 2
    assert checked_sizes([20, 5, 5, 400], _items(50, 100)) == [5, 20, 100]
    with pytest.raises(DataError, match="too small to learn from"):
        checked_sizes([1, 5], _items(50))
    with pytest.raises(DataError, match="no curve goes through 1 size"):
        checked_sizes([100, 200], _items(50))
