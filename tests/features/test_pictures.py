"""Pictures are decoded once, and come back as they were."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from finetune.console import Silent
from finetune.features.pictures import keep_pictures
from finetune.features.store import FeatureStore, Shelf

PICTURES = [np.full((n + 2, 5, 3), n, np.uint8) for n in range(5)]
KEYS = ["a", "b", "a", "d", "e"]  # the third file has the bytes of the first


class Decoder:
    def __init__(self) -> None:
        self.decoded: list[int] = []

    def __call__(self, chosen: list[int]) -> Iterator[list[np.ndarray]]:
        for position in chosen:
            self.decoded.append(position)
            yield [PICTURES[position]]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return FeatureStore(tmp_path, 10_000).shelf({"pictures": "as decoded"})


def test_each_is_decoded_once(shelf: Shelf) -> None:
    decoder = Decoder()
    kept = keep_pictures(shelf, KEYS[:3], decoder, Silent())
    assert kept is not None
    assert decoder.decoded == [0, 1]
    every = keep_pictures(shelf, KEYS, decoder, Silent())
    assert decoder.decoded == [0, 1, 3, 4]
    for each in (every, pickle.loads(pickle.dumps(every))):
        for position, expected in enumerate([0, 1, 0, 3, 4]):
            np.testing.assert_array_equal(each(position), PICTURES[expected])


def test_a_picture_may_be_changed_by_who_got_it(shelf: Shelf) -> None:
    kept = keep_pictures(shelf, KEYS, Decoder(), Silent())
    kept(1)[:] = 99
    np.testing.assert_array_equal(kept(1), PICTURES[1])


def test_without_room_nothing_is_kept(tmp_path: Path) -> None:
    assert keep_pictures(FeatureStore(tmp_path, 10).shelf({}), KEYS, Decoder(), Silent()) is None


def test_what_was_thrown_away_in_between_is_missing_in_a_new_worker(shelf: Shelf) -> None:
    kept = keep_pictures(shelf, KEYS, Decoder(), Silent())
    pickled = pickle.dumps(kept)
    shelf.store.clear()
    assert pickle.loads(pickled)(0) is None
    np.testing.assert_array_equal(kept(0), PICTURES[0])


def test_pictures_that_are_larger_than_they_seemed_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.features.pictures._SAMPLE", 1)
    monkeypatch.setattr("finetune.features.pictures._MARGIN", 1.0)
    store = FeatureStore(tmp_path, 10_000)
    assert keep_pictures(store.shelf({}), KEYS, Decoder(), Silent()) is None
    assert store.size() <= 5 * PICTURES[0].nbytes
