from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.manifest import Item, Manifest, part_named, read_manifest, spread
from finetune.errors import DataError

NAMES = st.text(st.characters(exclude_characters="\0"), max_size=12)


def test_splits_are_known_in_any_case():
    names = ["Train", "VAL", "valid", "Validation", "dev", "test", "holdout"]
    assert [part_named(name) for name in names] == [
        "train", "val", "val", "val", "val", "test", None,
    ]  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.tuples(NAMES, NAMES, NAMES, NAMES), max_size=6))
def test_csv_gives_back_what_was_written(tmp_path, rows):
    items = [
        Item(path, label, split="train", group=group, reason=reason)
        for path, label, group, reason in rows
    ]
    manifest = Manifest.of(tmp_path, items)
    manifest.write_csv(tmp_path / "data.csv")
    assert read_manifest(tmp_path / "data.csv", tmp_path) == manifest
    assert len((tmp_path / "data.csv").read_bytes().splitlines()) == len(items) + 1


def test_the_digest_hangs_on_every_part(tmp_path):
    item = Item("a", "b", "train", "g", "d")
    base = Manifest.of(tmp_path, [item])
    others = [
        replace(item, **{name: "other"}) for name in ("path", "label", "split", "group", "digest")
    ]
    digests = {Manifest.of(tmp_path, [other]).digest() for other in others}
    assert len(digests | {base.digest()}) == 6
    assert Manifest.of(tmp_path, [replace(item, path="ab", label="")]).digest() != base.digest()


def test_classes_are_those_of_good_images(tmp_path):
    items = [Item("2", "b", "train"), Item("1", "a", "val"), Item("3", "c", status="bad")]
    manifest = Manifest.of(tmp_path, items)
    assert manifest.classes == ("a", "b")
    assert manifest.labels(manifest.items[:2]).tolist() == [0, 1]
    assert [item.path for item in manifest.part("train")] == ["2"]
    assert manifest.file(items[0]) == tmp_path / "2"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "path,label,split\n", None])
def test_other_files_are_no_manifest(tmp_path, text):
    if text is not None:
        (tmp_path / "data.csv").write_text(text)
    with pytest.raises(DataError, match=r"data\.csv"):
        read_manifest(tmp_path / "data.csv", tmp_path)


@given(images=st.integers(0, 300), count=st.integers(1, 300))
def test_a_few_items_come_from_all_over(images, count):
    items = [Item(path=str(number), label="a") for number in range(images)]

    places = [int(item.path) for item in spread(items, count)]

    gaps = [after - before for before, after in pairwise([*places, images])]
    assert len(places) == min(count, images)
    assert places[:1] == [0][:images]
    assert not gaps or max(gaps) - min(gaps) <= 1
