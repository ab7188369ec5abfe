"""A sample is the same every time, and a smaller one is part of a larger one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.console import Silent
from finetune.data.public.catalogue import card, descriptor
from finetune.data.public.fetched import FetchNote, read_note, write_notes
from finetune.data.public.sampling import chosen_from, sample
from finetune.data.reading import list_data
from finetune.errors import DataError

BEANS = descriptor("beans")
PATHS = [f"{part}/{label}/{n}.jpg" for part in ("train", "val") for label in "ab" for n in range(9)]


@pytest.fixture
def fetched(write_folder: Callable[..., Path]) -> Path:
    root = write_folder({"train/healthy": 5, "train/bean_rust": 2, "test/healthy": 4})
    note = FetchNote("beans", "2026-01-01", 11, (), ())
    write_notes(root, note, BEANS, card("beans"))
    return root


def test_so_many_of_each_class_in_each_part(fetched, tmp_path):
    assert sample(BEANS, fetched, tmp_path / "few", 3, seed=1) == 8
    listing = list_data(tmp_path / "few", Silent())
    counts = Counter((item.split, item.label) for item in listing.items)
    assert counts == {("train", "healthy"): 3, ("train", "bean_rust"): 2, ("test", "healthy"): 3}
    for item in listing.items:
        assert (tmp_path / "few" / item.path).read_bytes() == (fetched / item.path).read_bytes()


def test_the_sample_says_what_it_is(fetched, tmp_path):
    sample(BEANS, fetched, tmp_path / "few", 1, seed=7)
    note = read_note(tmp_path / "few")
    assert note is not None
    assert (note.name, note.images) == ("beans", 3)
    assert note.remarks == ("A sample: 1 image of each class in each part, seed 7.",)
    assert "seed 7" in (tmp_path / "few" / "DATASET.md").read_text(encoding="utf-8")


@given(few=st.integers(1, 9), more=st.integers(0, 9), seed=st.integers(0, 99), order=st.randoms())
def test_fewer_are_some_of_more_in_whatever_order_they_are_listed(few, more, seed, order):
    mixed = order.sample(PATHS, len(PATHS))
    smaller = chosen_from(mixed, few, seed, parts=True)
    assert smaller == chosen_from(PATHS, few, seed, parts=True)
    assert set(smaller) <= set(chosen_from(PATHS, few + more, seed, parts=True))
    assert Counter(path.rpartition("/")[0] for path in smaller) == dict.fromkeys(
        ("train/a", "train/b", "val/a", "val/b"), few
    )


def test_another_seed_takes_others():
    assert chosen_from(PATHS, 2, 1, parts=True) != chosen_from(PATHS, 2, 2, parts=True)


def test_folders_below_a_class_belong_to_it():
    paths = ["cat/one/1.jpg", "cat/two/2.jpg", "dog/3.jpg"]
    chosen = chosen_from(paths, 1, 1, parts=False)
    assert Counter(path.split("/")[0] for path in chosen) == {"cat": 1, "dog": 1}


def test_what_is_no_fetched_folder_of_it_is_refused(fetched, tmp_path):
    for place in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match="does not hold beans as `finetune datasets fetch`"):
            sample(BEANS, place, tmp_path / "few", 3, seed=1)
    with pytest.raises(DataError, match="does not hold eurosat"):
        sample(descriptor("eurosat"), fetched, tmp_path / "few", 3, seed=1)
    assert not (tmp_path / "few").exists()


def test_a_folder_in_use_is_refused(fetched, tmp_path):
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "mine.txt").touch()
    with pytest.raises(DataError, match="is in use"):
        sample(BEANS, fetched, tmp_path / "few", 3, seed=1)
    assert [path.name for path in (tmp_path / "few").iterdir()] == ["mine.txt"]
