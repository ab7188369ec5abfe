from __future__ import annotations

from dataclasses import replace

import pytest

from finetune.inspection.findings import Copies, Problem
from finetune.inspection.suspects import Suspect
from finetune.report.check_sections import MOST_PAIRS, class_grid, conflicts, copies, doubtful, odd
from tests.report.pages import make_findings, make_items


def paths(section) -> list[list[str]]:
    return [[picture.path for picture in group.pictures] for group in section.groups]


def test_copies_show_what_no_other_section_shows():
    items = make_items(8, classes=2)
    items[4] = replace(items[4], split="test")
    found = make_findings(
        items,
        copies=[Copies((0, 1), "exact"), Copies((2, 4), "exact"), Copies((3, 5, 7), "near")],
    )
    assert paths(copies(found)) == [["c1/3.png", "c1/5.png", "c1/7.png"]]
    assert paths(conflicts(found)) == [["c0/0.png", "c1/1.png"]]


def test_the_same_files_are_not_shown_beside_those_that_are_nearly_the_same():
    found = make_findings(
        make_items(6, 1), copies=[Copies((0, 1), "exact"), Copies((0, 1, 2), "near")]
    )
    section = copies(found)
    assert section.count == 1
    assert paths(section) == [["c0/0.png", "c0/1.png", "c0/2.png"]]


def test_a_large_cluster_shows_each_of_its_labels():
    items = make_items(20, classes=1)
    items[19] = replace(items[19], label="other")
    (group,) = conflicts(make_findings(items, copies=[Copies(tuple(range(20)), "near")])).groups
    assert {picture.label for picture in group.pictures} == {"c0", "other"}
    assert (len(group.pictures), group.total) == (6, 20)


def test_doubtful_labels_are_shown_with_what_they_are_taken_for():
    items = make_items(100)
    found = [Suspect(place, items[place].label, "c9", 0.97, 0.9) for place in range(99, 20, -1)]
    section = doubtful(make_findings(items, suspects=found))
    assert section.count == 79
    (group,) = section.groups
    assert group.total - group.left == len(group.pictures) == MOST_PAIRS
    first = group.pictures[0]
    assert (first.path, first.label, first.note) == ("c1/99.png", "c1", "c9? (0.97)")
    assert doubtful(make_findings(items)).count == 0


def test_odd_pictures_stand_by_kind_and_unknown_kinds_last():
    items = make_items(30, classes=1)
    found = [Problem(item.path, "blurred", "no sharp edge") for item in items]
    found += [Problem(items[0].path, "sideways", "lies"), Problem(items[0].path, "tiny", "1 x 1")]
    section = odd(make_findings(items, problems=found))
    assert section.count == 30
    assert [group.title.split(" ")[0] for group in section.groups] == [
        "Tiny:", "Blurred:", "sideways",
    ]  # fmt: skip
    assert [group.left for group in section.groups] == [0, 18, 0]


@pytest.mark.parametrize(("classes", "shown"), [(3, 3), (60, 60), (200, 60)])
def test_classes_are_shown_by_pictures_from_all_over(classes, shown):
    items = make_items(40 * classes, classes)
    items[0] = replace(items[0], status="bad")
    section = class_grid(make_findings(items))
    assert (section.count, section.shown) == (classes, shown)
    assert all(len(group.pictures) == 8 for group in section.groups)
    assert all(items[0].path not in group for group in paths(section))
