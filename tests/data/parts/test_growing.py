from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.console import Silent
from finetune.data.manifest import Item, Manifest
from finetune.data.parts.dividing import divide
from finetune.data.parts.earlier import Entry, read_splits, splits_file
from finetune.data.parts.gathering import Ties
from finetune.data.parts.growing import known_parts
from finetune.errors import DataError
from finetune.recipe.schema import DataOptions

ROOT = Path("photos")
NAMES = st.sampled_from(["", "", "", *"abcdefgh"])
ROWS = st.lists(st.tuples(st.integers(0, 3), NAMES), min_size=1, max_size=60)


def options(**values) -> DataOptions:
    return DataOptions.model_validate(values)


def items_of(rows: list[tuple[int, str]], start: int = 0) -> list[Item]:
    return [
        Item(f"c{label}/{number:03}", f"c{label}", group=group, digest=f"d{number}")
        for number, (label, group) in enumerate(rows, start)
    ]


def written(items: list[Item], folder: Path) -> str:
    Manifest.of(ROOT, items).write_csv(folder / "data.csv")
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("earlier")


@settings(max_examples=150, deadline=None)
@given(
    rows=ROWS,
    more=st.lists(st.tuples(st.integers(0, 5), NAMES), max_size=40),
    stratify=st.booleans(),
    data=st.data(),
)
def test_what_is_added_moves_nothing_and_parts_no_group(folder, rows, more, stratify, data):
    before = divide(items_of(rows), options(stratify=stratify), 1, Silent())
    grown = [*items_of(rows), *items_of(more, len(rows))]
    data.draw(st.randoms(use_true_random=False)).shuffle(grown)
    places = st.lists(st.integers(0, len(grown) - 1), min_size=2, max_size=3, unique=True)
    clusters = data.draw(st.lists(places, max_size=4)) if len(grown) > 2 else []
    after = divide(
        grown,
        options(stratify=stratify, splits=written(before, folder), val=0.3),
        2,
        Silent(),
        known=Ties(clusters),
    )
    parts = {item.path: item.split for item in after if item.status == "ok"}
    assert all(parts[item.path] == item.split for item in before)
    assert set(parts.values()) <= {"train", "val", "test"}
    was = {item.path: item.split for item in before}
    for group in groups_of(after):
        sides = {item.split for item in group}
        # Groups with two sides can only be of images that were divided before.
        assert len(sides) == 1 or all(item.path in was for item in group)
    for item in after:
        if item.status == "dropped":
            assert item.path not in was
            assert "ties two parts together" in item.reason


def groups_of(items: list[Item]) -> list[list[Item]]:
    groups = defaultdict(list)
    for item in items:
        if item.group and item.status == "ok":
            groups[item.group].append(item)
    return list(groups.values())


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, more=ROWS, data=st.data())
def test_the_order_of_images_and_rows_plays_no_part(folder, rows, more, data):
    before = divide(items_of(rows), options(), 1, Silent())
    named = options(splits=written(before, folder))
    grown = [*items_of(rows), *items_of(more, len(rows))]
    one = divide(grown, named, 1, Silent())
    data.draw(st.randoms(use_true_random=False)).shuffle(grown)
    other = divide(grown, named, 1, Silent())
    assert {i.path: i for i in one} == {i.path: i for i in other}


def test_new_images_fill_up_to_the_shares(folder):
    before = divide(items_of([(n % 2, "") for n in range(40)]), options(val=0.1), 1, Silent())
    grown = items_of([(n % 2, "") for n in range(100)])
    named = options(splits=written(before, folder), val=0.2, test=0.2)
    after = divide(grown, named, 1, Silent())
    for label in ("c0", "c1"):
        parts = [item.split for item in after if item.label == label]
        assert [parts.count(part) for part in ("train", "val", "test")] == [30, 10, 10]


def test_a_new_image_goes_to_its_group(folder, told):
    rows = [(n % 2, f"g{n // 4}") for n in range(40)]
    before = divide(items_of(rows), options(), 1, Silent())
    test = next(item for item in before if item.split == "test")
    grown = [*items_of(rows), Item("c0/more", "c0", group=test.group, digest="x")]
    after = divide(grown, options(splits=written(before, folder)), 1, told)
    assert next(item for item in after if item.path == "c0/more").split == "test"
    assert told.said[0] == "By data.splits 40 images keep their parts; 1 is new."


def test_an_image_that_ties_two_parts_is_set_aside_with_its_reason(folder, told):
    before = [
        Item(f"c{n % 2}/{n:02}", f"c{n % 2}", "test" if n < 4 else "train") for n in range(20)
    ]
    new = [Item("c0/near", "c0"), Item("c0/new", "c0")]
    grown = [Item(item.path, item.label) for item in before]
    after = divide(
        [*grown, *new], options(splits=written(before, folder), val=0), 1, told,
        known=Ties([[0, 20], [20, 6]]),
    )  # fmt: skip
    (aside,) = [item for item in after if item.status != "ok"]
    assert (aside.path, aside.status) == ("c0/near", "dropped")
    assert aside.reason == "ties two parts together: c0/00 in test, c0/06 in train"
    assert told.warned[0] == (
        f"1 new image set aside, as no part can take what belongs to two: c0/near ({aside.reason})"
    )
    assert {item.group for item in after} == {""}


def test_a_file_that_was_moved_is_known_by_its_bytes(told):
    entries = [
        Entry(2, "a/1", "test", "one"),
        Entry(3, "a/2", "val", "two"),
        Entry(4, "a/3", "train", "twice"),
        Entry(5, "a/4", "test", "twice"),
        Entry(6, "a/5", "val", ""),
    ]
    items = [
        Item("b/1", "b", digest="one"), Item("a/copy", "a", digest="two"),
        Item("a/2", "a", digest="two"), Item("a/x", "a", digest="twice"),
        Item("a/bad", "a", status="bad"), Item("a/3", "a", digest="other"),
    ]  # fmt: skip
    kept = known_parts(items, entries, ROOT)
    assert kept.parts == ["test", "val", "val", "", "", "train"]
    assert (kept.moved, kept.copies) == ({0: "a/1"}, {1: "a/2"})
    assert kept.gone == ["a/4", "a/5"]
    kept.tell(items, told)
    assert told.said == [
        "By data.splits 3 images keep their parts; 2 are new.",
        "1 image is known by the file's bytes, not by its path: b/1 (was a/1)",
        "1 new image goes where an image of the same bytes is: a/copy (a copy of a/2)",
    ]
    assert told.warned == ["2 images of data.splits not in DATA any more: a/4, a/5"]


def test_of_equal_files_the_one_that_is_gone_was_moved():
    entries = [Entry(2, "a/1", "val", "one"), Entry(3, "a/2", "val", "one")]
    items = [Item("a/1", "a", digest="one"), Item("a/9", "a", digest="one")]
    kept = known_parts(items, entries, ROOT)
    assert (kept.parts, kept.moved, kept.copies, kept.gone) == (["val"] * 2, {1: "a/2"}, {}, [])


def test_another_image_under_the_old_name_makes_no_copy():
    items = [Item("a/1", "a", digest="new"), Item("a/2", "a", digest="one")]
    kept = known_parts(items, [Entry(2, "a/1", "val", "one")], ROOT)
    assert (kept.parts, kept.moved, kept.copies) == (["val", "val"], {1: "a/1"}, {})


def test_one_path_has_many_spellings():
    entries = [
        Entry(2, "./a/1", "test"),
        Entry(3, str(ROOT.absolute() / "a" / "2"), "val"),
        Entry(4, r"a\3", "train"),
    ]
    items = [Item("a/1", "a"), Item("a/2", "a"), Item("a/3", "a")]
    kept = known_parts(items, entries, ROOT)
    assert kept.parts == ["test", "val", "train"]
    assert kept.gone == []


def test_what_was_bad_or_dropped_then_is_new_now(folder):
    before = [Item("a/1", "a", "train"), Item("a/2", "a", "test", status="bad", reason="x"),
              Item("a/3", "a", "val", status="dropped", reason="x")]  # fmt: skip
    assert [entry.path for entry in read_splits(splits_file(written(before, folder)))] == ["a/1"]


def test_own_splits_of_data_may_not_contradict_the_earlier(folder):
    before = [Item(f"train/a/{n}", "a", "val" if n < 2 else "train") for n in range(9)]
    before += [Item(f"test/a/{n}", "a", "test") for n in range(9)]
    grown = [Item(item.path, "a", item.path.partition("/")[0]) for item in before]
    named = options(splits=written(before, folder))
    after = divide(grown, named, 1, Silent())
    assert [item.split for item in after] == [item.split for item in before]
    named = options(splits=written([Item("train/a/1", "a", "test")], folder))
    with pytest.raises(DataError) as caught:
        divide(grown, named, 1, Silent())
    assert "splits of its own that differ:\ntrain/a/1: test there, train in DATA" in str(
        caught.value
    )


def test_names_of_all_kinds_are_read_back(folder):
    strange = ["=1+1.png", "\\x41.png", "a\nb.png", "\x1b[31m.png", "\udcff.png", "'q", "a,b"]
    items = [Item(name, "a", "val") for name in strange]
    assert {e.path for e in read_splits(splits_file(written(items, folder)))} == set(strange)


def test_a_table_of_ones_own_is_taken_as_it_is(tmp_path):
    file = tmp_path / "parts.csv"
    file.write_text("split , path,more\nDEV,=1,x\n,empty,x\n\ntest,\\\\x41,x\n", "utf-8")
    assert read_splits(file) == [Entry(2, "=1", "val"), Entry(5, "\\\\x41", "test")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no column path; the file is empty"),
        ("path,part\n", "there is no column split; there is path, part"),
        ("path,split\na,train\nb,holdout\n", "line 3: split 'holdout'; train, val or test"),
        ("path,split\na,train\nb\n", "line 3: not 2 cells"),
        ("path,split\na,train\n./a,test\n", "line 3: ./a is in test, and in train in line 2"),
        ('path,split\n"a,train\n', "is no CSV"),
        ("path,split\n" + "b,x\n" * 20, "and 12 more such lines"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, message):
    file = tmp_path / "parts.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        read_splits(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "data.splits takes a run directory" in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    (tmp_path / "runs").mkdir()
    file = splits_file(str(tmp_path / "runs"))
    with pytest.raises(DataError, match=r"runs/data\.csv: can't be read: No such file"):
        read_splits(file)


def test_a_listed_part_stays_whatever_the_seed(folder):
    rows = [(n % 3, "") for n in range(60)]
    before = divide(items_of(rows), options(), 1, Silent())
    named = options(splits=written(before, folder))
    random.Random(1).shuffle(rows)
    for seed in range(5):
        after = divide(items_of(sorted(rows)), named, seed, Silent())
        known = {item.digest: item.split for item in before}
        assert all(known[item.digest] == item.split for item in after)
