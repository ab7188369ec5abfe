from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from finetune.data.manifest import Item
from finetune.data.parts import gathering
from finetune.data.parts.bursts import Taken
from finetune.data.parts.dividing import divide
from finetune.data.parts.gathering import Ties
from finetune.errors import DataError
from finetune.recipe.schema import DataOptions


def options(group) -> DataOptions:
    return DataOptions.model_validate({"group": group})


def items_of(count: int = 40, group: str = "") -> list[Item]:
    return [
        Item(f"c{n % 2}/plant{n // 4}_{n}.jpg", f"c{n % 2}", group=group and f"{group}{n // 2}")
        for n in range(count)
    ]


def shot(minutes: float) -> Taken:
    return Taken(datetime(2024, 5, 31) + timedelta(minutes=minutes))


def groups(items: list[Item]) -> set[str]:
    return {item.group for item in items}


def test_near_duplicates_join_what_a_table_groups(told):
    near = Ties([[0, 2], [4, 38]])
    divided = divide(items_of(group="g"), options("auto"), 1, told, known=near)
    assert divided[0].group == divided[2].group == "g0"
    assert divided[4].group == divided[38].group == "g19"
    assert len(groups(divided)) == 18
    assert told.said[0].startswith("40 images in 18 groups, kept whole: val ")


def test_none_joins_nothing_and_says_so(told):
    divided = divide(items_of(group="g"), options("none"), 1, told, known=Ties([[0, 2]]))
    assert groups(divided) == {""}
    assert told.said == ["The groups of DATA's table are not used: data.group is none."]
    assert [item.split for item in divided].count("test") == 6


def test_a_pattern_adds_to_groups_and_near_duplicates(told):
    items = [*items_of(), Item("c0/other.jpg", "c0"), Item("c0/lone.jpg", "c0", group="given")]
    option = options({"pattern": r"plant(\d+)"})
    divided = divide(items, option, 1, told, known=Ties([[0, 40]]))
    assert groups(divided) == {*map(str, range(10)), "given"}
    assert divided[40].group == "0"
    assert told.warned == [
        "2 images have no match of data.group.pattern, so that it joins them to none: "
        "c0/other.jpg, c0/lone.jpg"
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("flower", "data.group.pattern: 'flower' is found in no path\nIt is searched in the path "
         "below DATA, such as c0/plant0_0.jpg."),
        ("plant", "data.group.pattern: 'plant' puts every image into one group, plant"),
    ],
)  # fmt: skip
def test_a_pattern_that_tells_nothing_apart_is_an_error(told, pattern, message):
    with pytest.raises(DataError) as caught:
        divide(items_of(), options({"pattern": pattern}), 1, told)
    assert str(caught.value).startswith(message)


def test_a_pattern_that_groups_whole_classes_is_told(told):
    divided = divide([*items_of(), Item("c2/a", "c2")], options({"pattern": "^c[01]"}), 1, told)
    assert {item.split for item in divided} == {"train"}
    assert told.warned[-1] == (
        "2 classes of one or two groups, kept in train whole and so not judged: "
        "c0 (1 group), c1 (1 group)"
    )


def test_a_pattern_that_takes_too_long_is_an_error(told, monkeypatch):
    monkeypatch.setattr(gathering, "matches", lambda pattern, paths: _late())
    with pytest.raises(DataError, match=r"'\(a\+\)\+\$' takes more than 20 s on 40 paths"):
        divide(items_of(), options({"pattern": "(a+)+$"}), 1, told)


def _late():
    raise TimeoutError("20 s")


def test_bursts_are_groups_and_images_without_a_time_are_told(told):
    taken = [shot(n // 4 * 10 + n % 4) for n in range(40)]
    taken[3] = None
    divided = divide(items_of(), options({"exif": 2}), 1, told, known=Ties(taken=taken))
    assert len(groups(divided) - {""}) == 10
    assert divided[3].group == ""
    assert told.warned == ["1 image without a time (EXIF), and so in no burst: c1/plant0_3.jpg"]


@pytest.mark.parametrize("dropped", [False, True])
def test_times_that_join_nothing_are_told(told, dropped):
    items = items_of()
    taken = [shot(n * 10) for n in range(40)]
    if dropped:
        items[0] = replace(items[0], status="dropped", reason="x")
        taken[0] = shot(9.5)
    divided = divide(items, options({"exif": 1}), 1, told, known=Ties(taken=taken))
    assert groups(divided) == {""}
    assert told.warned == [
        "no two images of one camera were taken within 1 minute of each other, so that "
        "data.group.exif joins none"
    ]


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        (None, "data.group.exif: no image says when it was taken"),
        ([shot(n) for n in range(40)], "data.group.exif: 2 minutes put every image into one group"),
    ],
)
def test_times_that_tell_nothing_apart_are_an_error(told, taken, message):
    with pytest.raises(DataError, match=message):
        divide(items_of(), options({"exif": 2}), 1, told, known=Ties(taken=taken))
