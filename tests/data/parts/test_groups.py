from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.data.manifest import Item
from finetune.data.parts.groups import by_name, joined, near_groups

GIVEN = st.lists(st.sampled_from(["", "", "a", "b", "near: 00", "c"]), min_size=4, max_size=14)


def items_of(groups: list[str]) -> list[Item]:
    return [Item(f"{place:02}", "x", group=group) for place, group in enumerate(groups)]


def clusters_of(count: int) -> st.SearchStrategy[list[list[int]]]:
    places = st.lists(st.integers(0, count - 1), min_size=2, max_size=4, unique=True)
    return st.lists(places, max_size=5)


def together(items: list[Item]) -> set[frozenset[str]]:
    """The images by group; those without one alone."""
    groups = defaultdict(set)
    for item in items:
        groups[item.group or ("alone", item.path)].add(item.path)
    return {frozenset(group) for group in groups.values()}


def by_walking(items: list[Item], sources: list[dict[str, list[int]]]) -> set[frozenset[str]]:
    """The components, found by merging sets until nothing changes."""
    sets = [{item.path} for item in items]
    given = by_name(item.group for item in items)
    for places in (places for source in (given, *sources) for places in source.values()):
        merged = set().union(*(group for p in places for group in sets if items[p].path in group))
        sets = [group for group in sets if not group & merged] + [merged]
    return {frozenset(group) for group in sets}


@settings(max_examples=150, deadline=None)
@given(groups=GIVEN, data=st.data())
def test_groups_that_share_an_image_are_one(groups, data):
    items = items_of(groups)
    near = near_groups(items, data.draw(clusters_of(len(items))))
    named = by_name(data.draw(st.lists(st.sampled_from(["", "a", "p"]), min_size=len(items),
                                       max_size=len(items))))  # fmt: skip
    assert together(joined(items, [named, near])) == by_walking(items, [named, near])


@settings(max_examples=100, deadline=None)
@given(groups=GIVEN, data=st.data())
def test_names_hang_on_no_order(groups, data):
    items = items_of(groups)
    clusters = data.draw(clusters_of(len(items)))
    order = data.draw(st.permutations(range(len(items))))
    moved = [items[place] for place in order]
    there = {place: new for new, place in enumerate(order)}
    turned = [[there[p] for p in reversed(cluster)] for cluster in reversed(clusters)]
    one = joined(items, [near_groups(items, clusters)])
    other = joined(moved, [near_groups(moved, turned)])
    assert {i.path: i.group for i in one} == {i.path: i.group for i in other}


def test_a_group_is_named_by_what_the_person_named():
    items = items_of(["z", "", "", "", "b", "a", ""])
    near = near_groups(items, [[0, 1], [3, 2], [5, 4]])
    assert [i.group for i in joined(items, [near])] == [
        "z", "z", "near: 02", "near: 02", "a", "a", "",
    ]  # fmt: skip


def test_one_name_of_two_sources_is_two_groups():
    items = items_of(["12", "12", "", ""])
    assert [i.group for i in joined(items, [{"12": [2, 3]}])] == ["12", "12", "12'", "12'"]


def test_images_that_are_not_ok_join_nothing():
    items = [Item("1", "x", group="a"), Item("2", "x", group="a", status="bad"), Item("3", "x")]
    assert [i.group for i in joined(items, [{"n": [1, 2]}])] == ["a", "a", ""]
