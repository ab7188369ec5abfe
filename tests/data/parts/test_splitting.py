from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.data.manifest import PARTS, Item
from finetune.data.parts.filling import Shares, allocate
from finetune.data.parts.splitting import assign, split

SHARES = st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.4])


def items_of(counts: list[int], group_size: int = 0) -> list[Item]:
    items = []
    for label, count in enumerate(counts):
        for number in range(count):
            group = f"g{len(items) // group_size}" if group_size else ""
            items.append(Item(f"{label}/{number}", f"class{label}", group=group))
    return items


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=8),
    val=SHARES, test=SHARES, stratify=st.booleans(), seed=st.integers(0, 2**63 - 1),
)  # fmt: skip
def test_totals_are_exact_and_every_class_is_taught(counts, val, test, stratify, seed):
    items = items_of(counts)
    parts = split(items, Shares(val, test), stratify=stratify, seed=seed)
    assert len(parts) == len(items)
    total = Counter(parts)
    room = sum(count - 1 for count in counts if count >= 3)
    wanted = {
        name: max(1, int(share * len(items) + 0.5)) if share else 0
        for name, share in (("val", val), ("test", test))
    }
    if sum(wanted.values()) <= room:
        assert {name: total[name] for name in wanted} == wanted
    else:
        assert total["val"] + total["test"] == room
    by_class = defaultdict(Counter)
    for item, part in zip(items, parts, strict=True):
        by_class[item.label][part] += 1
    assert all(by_class[f"class{c}"]["train"] >= min(n, 1 if n >= 3 else n)
               for c, n in enumerate(counts))  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(10, 200), min_size=2, max_size=8), seed=st.integers(0, 99))
def test_stratified_shares_are_within_one_image_of_exact(counts, seed):
    items = items_of(counts)
    parts = split(items, Shares(0.2, 0.1), stratify=True, seed=seed)
    cells = Counter((item.label, part) for item, part in zip(items, parts, strict=True))
    for label, count in enumerate(counts):
        # The total is rounded too, which moves a class by less than one image more.
        assert abs(cells[f"class{label}", "val"] - 0.2 * count) < 2
        assert abs(cells[f"class{label}", "test"] - 0.1 * count) < 2


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    group_size=st.sampled_from([0, 1, 3, 7]), stratify=st.booleans(), data=st.data(),
)  # fmt: skip
def test_order_plays_no_part(counts, group_size, stratify, data):
    items = items_of(counts, group_size)
    shuffled = data.draw(st.permutations(items))
    shares = Shares(0.15, 0.15)
    one = split(items, shares, stratify=stratify, seed=3)
    other = split(shuffled, shares, stratify=stratify, seed=3)
    assert dict(zip([i.path for i in items], one, strict=True)) == dict(
        zip([i.path for i in shuffled], other, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["", *"abcdefghij"])), min_size=1, max_size=80
    ),
    stratify=st.booleans(), seed=st.integers(0, 9),
)  # fmt: skip
def test_groups_stay_whole_and_every_class_is_taught(rows, stratify, seed):
    items = [Item(str(n), f"c{label}", group=group) for n, (label, group) in enumerate(rows)]
    if not any(item.group for item in items):
        return
    parts = split(items, Shares(0.2, 0.2), stratify=stratify, seed=seed)
    sides = defaultdict(set)
    for item, part in zip(items, parts, strict=True):
        sides[item.group or item.path].add(part)
    assert all(len(side) == 1 for side in sides.values())
    taught = {item.label for item, part in zip(items, parts, strict=True) if part == "train"}
    assert taught == {item.label for item in items}


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=25), min_size=1, max_size=5),
    shares=st.sampled_from([(0.15, 0.15), (0.2, 0.1), (0.1, 0.3)]), seed=st.integers(0, 9),
)  # fmt: skip
def test_shares_are_as_near_as_whole_groups_allow(sizes, shares, seed):
    items = [
        Item(f"{label}/{group}/{n}", f"c{label}", group=f"{label}/{group}" if size > 1 else "")
        for label, groups in enumerate(sizes)
        for group, size in enumerate(groups)
        for n in range(size)
    ]
    parts = split(items, Shares(*shares), stratify=True, seed=seed)
    cells = Counter((item.label, part) for item, part in zip(items, parts, strict=True))
    for label, groups in enumerate(sizes):
        if len(groups) < 3:
            assert cells[f"c{label}", "train"] == sum(groups)
            continue
        for part, share in zip(("val", "test"), shares, strict=True):
            # The last group that a part gets, or that train keeps, can be the largest.
            assert abs(cells[f"c{label}", part] - share * sum(groups)) < max(groups) + 2


@settings(max_examples=60, deadline=None)
@given(
    singles=st.lists(st.integers(40, 90), min_size=1, max_size=5),
    groups=st.lists(st.tuples(st.integers(0, 4), st.integers(2, 6)), max_size=6),
    stratify=st.booleans(), seed=st.integers(0, 9),
)  # fmt: skip
def test_few_groups_leave_the_shares_exact(singles, groups, stratify, seed):
    items = items_of(singles)
    for number, (label, size) in enumerate(groups):
        name = f"class{label % len(singles)}"
        items += [Item(f"g{number}/{n}", name, group=f"g{number}") for n in range(size)]
    parts = split(items, Shares(0.2, 0.1), stratify=stratify, seed=seed)
    total = Counter(parts)
    assert total["val"] == int(0.2 * len(items) + 0.5)
    assert total["test"] == int(0.1 * len(items) + 0.5)
    if stratify:
        sizes = Counter(item.label for item in items)
        cells = Counter((item.label, part) for item, part in zip(items, parts, strict=True))
        assert all(abs(cells[label, "val"] - 0.2 * size) < 2 for label, size in sizes.items())


def test_groups_of_a_class_are_dealt_to_all_parts_beside_many_single_images():
    items = items_of([900])
    items += [Item(f"g{n // 2}/{n}", "class0", group=f"g{n // 2}") for n in range(200)]
    parts = split(items, Shares(0.2, 0.2), stratify=True, seed=1)
    grouped = Counter(part for item, part in zip(items, parts, strict=True) if item.group)
    assert all(abs(grouped[part] / 200 - share) < 0.02
               for part, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)))  # fmt: skip


def test_what_one_class_has_too_many_of_is_not_taken_from_another():
    items = items_of([500, 500])
    items = [replace(i, group=f"g{n % 3}") if n < 500 else i for n, i in enumerate(items)]
    parts = split(items, Shares(0.15, 0.15), stratify=True, seed=1)
    single = Counter(part for item, part in zip(items, parts, strict=True) if not item.group)
    assert single == {"train": 350, "val": 75, "test": 75}


@pytest.mark.parametrize("group_size", [2, 5, 10])
def test_even_groups_come_near_the_shares(group_size):
    parts = Counter(
        split(items_of([200, 100, 300], group_size), Shares(0.2, 0.1), stratify=True, seed=1)
    )
    assert abs(parts["val"] / 600 - 0.2) < 0.04
    assert abs(parts["test"] / 600 - 0.1) < 0.04


def test_three_groups_a_class_give_three_parts():
    items = items_of([30, 30], 10)
    parts = split(items, Shares(0.15, 0.15), stratify=True, seed=1)
    assert set(parts) == set(PARTS)


def test_seeds_differ():
    items = items_of([30, 30])
    splits = {tuple(split(items, Shares(0.2, 0.2), stratify=True, seed=s)) for s in range(8)}
    assert len(splits) == 8


def test_an_image_more_moves_few_others():
    items = items_of([100, 100])
    more = [*items, Item("0/more", "class0")]
    before = split(items, Shares(0.2, 0.2), stratify=True, seed=1)
    after = split(more, Shares(0.2, 0.2), stratify=True, seed=1)
    assert sum(a != b for a, b in zip(before, after, strict=False)) <= 4


def test_equal_remainders_are_shared_out_by_lot():
    sizes = np.full(10, 3)
    ties = np.random.default_rng(0).permutation(10).astype(np.uint64)
    counts = allocate(4, sizes, sizes - 1, ties)
    assert counts.tolist() == (ties < 4).astype(int).tolist()


def test_a_million_images_take_seconds():
    import time

    labels = np.random.default_rng(0).integers(0, 1000, 1_000_000)
    ranks = np.random.default_rng(1).integers(0, 2**63, 1_000_000, dtype=np.uint64)
    started = time.perf_counter()
    codes = assign(labels, ranks, Shares(0.15, 0.15), stratify=True)
    assert np.bincount(codes).tolist() == [700_000, 150_000, 150_000]
    assert time.perf_counter() - started < 10
