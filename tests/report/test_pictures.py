from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune.report.pictures import Group, Picture, Section, Table, evenly, paths_of


@given(st.integers(0, 200), st.integers(1, 50))
def test_a_few_are_from_all_over(count, at_most):
    taken = evenly(range(count), at_most)
    assert len(taken) == min(count, at_most)
    assert taken == sorted(set(taken))
    gaps = [b - a for a, b in zip([-1, *taken], [*taken, count], strict=True)]
    assert max(gaps) - 1 <= max(1, count / at_most)


def test_each_path_is_named_once():
    one, other = Picture("a/1.jpg", "a", ""), Picture("b/2.jpg", "b", "train")
    group = Group("", [other, one], 5)
    sections = [Section("x", "", "", 1, [group]), Section("y", "", "", 1, [group])]
    assert paths_of(sections) == ["b/2.jpg", "a/1.jpg"]
    assert group.left == 3
    assert one.file_name == "1.jpg"


def test_a_section_knows_how_much_it_shows():
    assert Section("x", "", "", 9, table=Table(("a",), [("1",), ("2",)], 1)).shown == 2
    assert Section("x", "", "", 9, lines=["one"]).shown == 1
    assert Section("x", "", "", 9, [Group("", [], 0)] * 3).shown == 3
