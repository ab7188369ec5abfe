"""What is suggested can always be followed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import SupportsIndex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.copies.leaks import find_leaks
from finetune.data.fixes import DROP, GROUP, RELABEL, Fix, apply_fixes, read_fixes, write_fixes
from finetune.data.manifest import PARTS, Item
from finetune.inspection import suggesting
from finetune.inspection.findings import Copies, Problem
from finetune.inspection.suggesting import suggest


@st.composite
def checked(draw: st.DrawFn) -> tuple[list[Item], list[Copies], list[Problem]]:
    """Items, and what a check could have found of them."""
    count = draw(st.integers(1, 10))
    labels = st.sampled_from(["cat ", "=dog", "two\nlines", "\udce9"])
    parts = draw(st.sampled_from([("",), PARTS]))
    items = [
        Item(
            f" {place}\n\udce9.jpg ",
            draw(labels),
            split=draw(st.sampled_from(parts)),
            digest=draw(st.sampled_from("xyz")),
            status=draw(st.sampled_from(["ok", "ok", "ok", "bad"])),
            reason="of\nsome kind",
        )
        for place in range(count)
    ]
    good = [place for place, item in enumerate(items) if item.status == "ok"]
    numbers = {place: draw(st.integers(0, 3)) for place in good}
    copies = []
    for number in range(4):
        places = tuple(place for place in good if numbers[place] == number)
        same = Counter(items[place].digest for place in places)
        for digest, times in sorted(same.items()):
            if times > 1:
                exact = tuple(place for place in places if items[place].digest == digest)
                copies.append(Copies(exact, "exact"))
        if len(same) > 1:
            copies.append(Copies(places, "near"))
    kinds = st.sampled_from(["blank", "blurred", "tiny"])
    problems = [Problem(items[p].path, draw(kinds), "seen") for p in good if draw(st.booleans())]
    return items, copies, problems


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(checked())
def test_suggestions_never_contradict(
    tmp_path: Path, found: tuple[list[Item], list[Copies], list[Problem]]
) -> None:
    items, copies, problems = found
    leaks = find_leaks(items, [each.places for each in copies])
    fixes = suggest(items, copies, leaks, problems)
    assert all(count == 1 for count in Counter(f.path for f in fixes if f.action).values())
    assert [fix.path for fix in fixes] == sorted(fix.path for fix in fixes)
    write_fixes(tmp_path / "fixes.csv", fixes)
    back = read_fixes(tmp_path / "fixes.csv")
    assert len(back) == len(fixes)
    fixed = apply_fixes(items, back, tmp_path / "fixes.csv")
    assert fixed.unknown == ()
    assert find_leaks(fixed.items, [each.places for each in copies]) == []
    blank = {problem.path for problem in problems if problem.kind == "blank"}
    for cluster in copies:  # a picture never goes with its last copy, the same or a near one
        whole = {p for each in copies if {*each.places} & {*cluster.places} for p in each.places}
        left = [place for place in whole if fixed.items[place].status == "ok"]
        assert left or any(items[place].path in blank for place in whole)


def rows(*fixes: Fix) -> list[tuple[str, str, str]]:
    return [(fix.path, fix.action, fix.to) for fix in fixes]


def test_a_file_that_can_not_be_read_is_to_go() -> None:
    (fix,) = suggest([Item("a", "x", status="bad", reason="empty file")], [], [], [])
    assert fix == Fix("a", "empty file", DROP)


def test_the_same_file_goes_and_a_near_one_is_grouped() -> None:
    items = [Item(name, "x") for name in "abc"]
    fixes = suggest(items, [Copies((0, 1), "exact"), Copies((0, 1, 2), "near")], [], [])
    assert rows(*fixes) == [("b", DROP, ""), ("c", GROUP, "a")]


def test_the_majority_names_the_others() -> None:
    items = [Item("a", "cat"), Item("b", "cat"), Item("c", "dog")]
    fixes = suggest(items, [Copies((0, 1, 2), "near")], [], [])
    assert ("c", RELABEL, "cat") in rows(*fixes)
    assert "the same picture as a, which is in class cat" in {f.problem for f in fixes}


def test_an_even_conflict_is_left_to_a_person() -> None:
    items = [Item("a", "cat"), Item("b", "dog")]
    fixes = suggest(items, [Copies((0, 1), "exact")], [], [])
    assert rows(*fixes) == [("a", "", ""), ("b", "", "")]


def test_of_a_leak_the_earlier_part_gives_way() -> None:
    items = [Item("a", "x", split="train"), Item("b", "x", split="test")]
    leaks = find_leaks(items, [[0, 1]])
    fixes = suggest(items, [Copies((0, 1), "near")], leaks, [])
    assert rows(*fixes) == [("a", DROP, "")]


def test_a_blank_picture_goes_and_a_blurred_one_is_told() -> None:
    problems = [Problem("a", "blank", "one colour"), Problem("b", "blurred", "no edge")]
    fixes = suggest([Item("a", "x"), Item("b", "x")], [], [], problems)
    assert fixes == [Fix("a", "one colour", DROP), Fix("b", "no edge")]
    assert json.dumps([fix.suggestion for fix in fixes]) == '["drop", ""]'


class Counted(list[Item]):
    """Items that count how often one is asked for."""

    asked = 0

    def __getitem__(self, place: SupportsIndex) -> Item:  # type: ignore[override]
        self.asked += 1
        return super().__getitem__(place)


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("label", ["cat", "dog"])
def test_the_work_is_linear_in_the_copies(
    monkeypatch: pytest.MonkeyPatch, part: str, label: str
) -> None:
    made = []
    monkeypatch.setattr(suggesting, "Fix", lambda *row: made.append(row) or Fix(*row))
    items = Counted(Item(f"a{n:04}", "cat", split="train", digest="x") for n in range(2_000))
    items += [Item(f"b{n:04}", label, split=part, digest="x") for n in range(400)]
    cluster = tuple(range(len(items)))
    leaks = find_leaks(list(items), [cluster])
    suggest(items, [Copies(cluster, "exact")], leaks, [])
    assert len(made) <= 3 * len(items)
    assert items.asked <= 12 * len(items)


def test_each_earlier_copy_names_a_later_one() -> None:
    items = [Item(f"{n}", "x", split=part) for n, part in enumerate(["train", *PARTS, "test"])]
    fixes = suggest(items, [Copies(tuple(range(5)), "near")], find_leaks(items, [range(5)]), [])
    assert [(fix.path, fix.problem) for fix in fixes if fix.action == DROP] == [
        ("0", "the same picture as 2 of val"),
        ("1", "the same picture as 2 of val"),
        ("2", "the same picture as 3 of test"),
    ]
