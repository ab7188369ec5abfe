from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.console import Silent
from finetune.data.copies.leaks import Leak, find_leaks, leak_lines, treat_leaks
from finetune.data.manifest import PARTS, Item
from finetune.errors import DataError

TRAIN, VAL, TEST = (Item(f"{part}.jpg", "x", split=part, digest=part) for part in PARTS)


@st.composite
def divided(draw: st.DrawFn) -> tuple[list[Item], list[list[int]]]:
    """Items with parts, and clusters of their places that don't overlap."""
    count = draw(st.integers(1, 14))
    items = [
        Item(
            f"{place}\n.jpg",
            draw(st.sampled_from("ab")),
            split=draw(st.sampled_from(PARTS)),
            digest=draw(st.sampled_from("xyz")),
            status=draw(st.sampled_from(["ok", "ok", "ok", "bad", "dropped"])),
        )
        for place in range(count)
    ]
    numbers = [draw(st.integers(0, 4)) for _ in range(count)]
    clusters = [[p for p in range(count) if numbers[p] == number] for number in range(5)]
    return items, [cluster for cluster in clusters if len(cluster) > 1]


def _parts(items: list[Item], cluster: list[int]) -> set[str]:
    return {items[place].split for place in cluster if items[place].status == "ok"}


@given(divided())
def test_after_drop_no_picture_lies_in_two_parts_and_the_test_part_is_whole(
    given_: tuple[list[Item], list[list[int]]],
) -> None:
    items, clusters = given_
    left = treat_leaks(items, clusters, "drop", Silent())
    assert all(len(_parts(left, cluster)) <= 1 for cluster in clusters)
    assert find_leaks(left, clusters) == []
    for was, now in zip(items, left, strict=True):
        if was != now:
            assert (was.status, now.status) == ("ok", "dropped")
            assert was.split != "test"
            assert now.reason.startswith("a copy of it is in ")
    for cluster in clusters:  # and no picture is lost
        assert bool(_parts(left, cluster)) == bool(_parts(items, cluster))


@given(divided())
def test_warn_marks_the_later_ones_and_nothing_else(
    given_: tuple[list[Item], list[list[int]]],
) -> None:
    items, clusters = given_
    left = treat_leaks(items, clusters, "warn", Silent())
    for place, (was, now) in enumerate(zip(items, left, strict=True)):
        mine = next((cluster for cluster in clusters if place in cluster), [])
        earlier = PARTS[: PARTS.index(was.split)]
        copies = {
            items[p].path for p in mine if items[p].status == "ok" and items[p].split in earlier
        }
        assert bool(now.copy_of) == bool(copies and was.status == "ok")
        assert now.copy_of in {*copies, ""}
        assert (now.status, now.reason, now.split) == (was.status, was.reason, was.split)


@given(divided())
def test_error_ends_the_run_where_there_are_leaks(
    given_: tuple[list[Item], list[list[int]]],
) -> None:
    items, clusters = given_
    if not find_leaks(items, clusters):
        assert treat_leaks(items, clusters, "error", Silent()) == items
        return
    with pytest.raises(DataError, match="scores may be too good") as caught:
        treat_leaks(items, clusters, "error", Silent())
    assert "data.on_leak=drop" in str(caught.value)


def test_kinds_and_order_of_leaks() -> None:
    same = Item("b.jpg", "x", split="train", digest="test")
    items = [TEST, TRAIN, same, VAL]
    assert find_leaks(items, [[0, 1, 2, 3]]) == [
        Leak(2, 0, "exact"),
        Leak(3, 0, "near"),
        Leak(1, 3, "near"),
    ]


def test_nothing_leaks_inside_a_part_or_before_there_are_parts() -> None:
    assert find_leaks([TRAIN, TRAIN, VAL], [[0, 1]]) == []
    assert find_leaks([Item("a", "x"), Item("b", "x")], [[0, 1]]) == []


def test_a_warning_counts_and_names(told) -> None:
    items = [TRAIN, VAL, TEST, TEST]
    treat_leaks(items, [[0, 1, 2, 3]], "warn", told)
    (warning,) = told.warned
    assert warning.startswith(
        "2 images of test are in train too, 2 images of test are in val too, "
        "1 image of val is in train too, so that scores may be too good:"
    )
    assert "  val.jpg is nearly the same picture as train.jpg" in warning


def test_lines_are_few_and_safe() -> None:
    items = [Item("a\x1b[2J.jpg", "x", split="train"), Item("b\n.jpg", "x", split="test")]
    assert leak_lines(items, [Leak(0, 1, "exact")]) == [
        r"  b\u000a.jpg is the same file as a\u001b[2J.jpg"
    ]
    many = leak_lines(items, [Leak(0, 1, "near")] * 10)
    assert len(many) == 5
    assert many[-1] == "  and 6 more"
