"""The store gives back what was put in, or nothing."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from finetune.features.store import FeatureStore, Shelf

ROW = 16  # bytes


def rows(count: int, start: int = 0) -> dict[str, np.ndarray]:
    return {f"image-{n}": np.full(4, n, "<f4") for n in range(start, start + count)}


def fill(shelf: Shelf, wanted: dict[str, np.ndarray]) -> bool:
    with shelf.writing(sum(row.nbytes for row in wanted.values())) as writer:
        if writer is None:
            return False
        writer.put(wanted)
    return not writer.failed


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", 10_000)


@pytest.fixture
def shelf(store: FeatureStore) -> Shelf:
    return store.shelf({"weights": "w", "cut": "head"})


@settings(max_examples=30)
@given(
    hnp.arrays(
        st.sampled_from(["<f4", "<u2"]),
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
        elements={"allow_nan": True},
    )
)
def test_every_bit_comes_back(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    shelf = FeatureStore(tmp_path_factory.mktemp("s"), 10**6).shelf({})
    fill(shelf, {str(n): row for n, row in enumerate(values)})
    found = shelf.read([str(n) for n in range(len(values))])
    for number, row in enumerate(values):
        assert found[str(number)].tobytes() == row.tobytes()
        assert found[str(number)].shape == row.shape


def test_shelves_of_other_things_hold_nothing(store: FeatureStore, shelf: Shelf) -> None:
    fill(shelf, rows(3))
    assert store.shelf({"weights": "v", "cut": "head"}).read(["image-0"]) == {}
    assert set(store.shelf({"cut": "head", "weights": "w"}).read(["image-0"])) == {"image-0"}
    about = json.loads((shelf.folder / "about.json").read_text(encoding="utf-8"))
    assert about == {"weights": "w", "cut": "head"}


def test_segments_add_up(shelf: Shelf) -> None:
    fill(shelf, rows(3))
    fill(shelf, rows(3, start=2))
    assert set(shelf.read([f"image-{n}" for n in range(9)])) == set(rows(5))


def test_what_was_put_before_an_interruption_counts(shelf: Shelf) -> None:
    def interrupted() -> None:
        with shelf.writing(3 * ROW) as writer:
            assert writer is not None
            writer.put(rows(2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(shelf.read(list(rows(3)))) == set(rows(2))


def test_a_segment_that_was_not_finished_counts_for_nothing(shelf: Shelf) -> None:
    with shelf.writing(3 * ROW) as writer:
        assert writer is not None
        writer.put(rows(2))
        assert shelf.read(list(rows(2))) == {}  # as after a SIGKILL


def test_a_long_computation_leaves_segments(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.features.store._LONGEST", 0.0)
    with shelf.writing(4 * ROW) as writer:
        assert writer is not None
        for number in range(4):
            writer.put(rows(1, start=number))
            assert set(shelf.read(list(rows(9)))) == set(rows(number + 1))


def test_no_more_is_written_than_was_asked_for(store: FeatureStore, shelf: Shelf) -> None:
    with shelf.writing(2 * ROW) as writer:
        assert writer is not None
        writer.put(rows(2))
        writer.put(rows(1, start=2))
        assert writer.failed
    assert store.size() == 2 * ROW


@pytest.mark.parametrize("damage", ["flip", "cut", "index", "names", "gone"])
def test_what_was_altered_is_thrown_away(shelf: Shelf, damage: str) -> None:
    fill(shelf, rows(3))
    (path,) = shelf.folder.glob("*/rows.bin")
    if damage == "flip":
        data = bytearray(path.read_bytes())
        data[5] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    elif damage == "names":
        index = path.parent / "index.json"
        text = index.read_text(encoding="utf-8")
        index.write_text(text.replace("image-0", "image-9"), encoding="utf-8")
    elif damage == "index":
        (path.parent / "index.json").write_text("{", encoding="utf-8")
    else:
        path.unlink()
    keys = list(rows(3))
    assert shelf.read(keys) == {}
    assert fill(shelf, rows(3))
    assert set(shelf.read(keys)) == set(keys)


def test_the_longest_unused_makes_room(store: FeatureStore) -> None:
    small = FeatureStore(store.root, 2 * 3 * 16)
    shelves = [small.shelf({"n": n}) for n in range(3)]
    for age, shelf in enumerate(shelves[:2]):
        fill(shelf, rows(3))
        (index,) = shelf.folder.glob("*/index.json")
        os.utime(index, (time.time() - 100 + age,) * 2)
    shelves[0].read(["image-0"])  # now the second one is the longest unused
    assert fill(shelves[2], rows(3))
    assert [bool(shelf.read(["image-0"])) for shelf in shelves] == [True, False, True]
    assert small.size() <= 2 * 3 * 16


def test_what_can_never_fit_is_not_kept(store: FeatureStore) -> None:
    small = FeatureStore(store.root, 40)
    kept = small.shelf({"n": 0})
    fill(kept, rows(2))
    assert not fill(small.shelf({"n": 1}), rows(3))
    assert set(kept.read(["image-0"])) == {"image-0"}


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_full_disk_ends_the_writing_and_nothing_else(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.open

    def full(path: Path, *rest, **more):
        if path.name == "rows.bin":
            return plain(Path("/dev/full"), "wb", buffering=0)
        return plain(path, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    with shelf.writing(4 * ROW) as writer:
        assert writer is not None
        writer.put(rows(2))
        assert writer.failed
        writer.put(rows(2))
    assert shelf.read(list(rows(2))) == {}
    assert [path for path in shelf.folder.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("what", ["numpy.memmap", "os.utime"])
def test_what_cannot_be_read_or_touched_now_is_not_thrown_away(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(24, "Too many open files")

    assert fill(shelf, rows(2))
    with monkeypatch.context() as patch:
        patch.setattr(what, fail)
        assert bool(shelf.read(list(rows(2)))) == (what == "os.utime")
    assert set(shelf.read(list(rows(2)))) == set(rows(2))


def test_a_segment_that_gave_nothing_was_not_used(store: FeatureStore, shelf: Shelf) -> None:
    assert fill(shelf, rows(2))
    assert fill(shelf, rows(2, start=2))
    for index in shelf.folder.glob("*/index.json"):
        os.utime(index, (1000.0, 1000.0))
    shelf.read(["image-3"])
    oldest, newest = store.segments()
    assert oldest.used() == 1000.0
    assert newest.used() > 1000.0
    assert newest.holds(["image-3"]) == {"image-3"}


def test_nothing_is_thrown_away_for_what_cannot_fit_beside_another_run(
    store: FeatureStore,
) -> None:
    small = FeatureStore(store.root, 10 * ROW)
    assert fill(small.shelf({"n": 0}), rows(2))
    with small.shelf({"n": 1}).writing(6 * ROW) as writer:
        assert writer is not None
        writer.put(rows(6))
        assert not fill(small.shelf({"n": 2}), rows(5))
    assert set(small.shelf({"n": 0}).read(list(rows(2)))) == set(rows(2))


def test_a_place_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert not fill(FeatureStore(tmp_path / "file" / "store", 1000).shelf({}), rows(1))


def test_leftovers_of_killed_runs_are_swept_after_a_while(
    store: FeatureStore, shelf: Shelf
) -> None:
    left = shelf.folder / "killed"
    left.mkdir(parents=True)
    (left / "rows.bin").write_bytes(b"123")
    fill(shelf, rows(1))
    assert left.exists()  # it may be another run's, still being written
    os.utime(left / "rows.bin", (time.time() - 7200,) * 2)
    fill(shelf, rows(1, start=1))
    assert not left.exists()


def test_nobody_else_may_look_in(store: FeatureStore, shelf: Shelf) -> None:
    fill(shelf, rows(1))
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_clearing_removes_all(store: FeatureStore, shelf: Shelf) -> None:
    fill(shelf, rows(3))
    assert store.clear() == 48
    assert store.size() == 0
    assert shelf.read(["image-0"]) == {}
    assert FeatureStore(store.root / "nowhere").clear() == 0


def test_the_usual_budget_is_a_tenth_of_the_free_disk_at_most(tmp_path: Path) -> None:
    assert 0 < FeatureStore(tmp_path / "a" / "b").budget <= 10 * 2**30


def test_the_environment_names_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path))
    assert FeatureStore.usual().root == tmp_path / "features"
    monkeypatch.delenv("FINETUNE_CACHE")
    assert FeatureStore.usual().root.parts[-2:] == ("finetune", "features")


def test_rows_of_a_segment_may_differ_in_shape(shelf: Shelf) -> None:
    pictures = {str(n): np.full((n + 1, 2 * n + 1, 3), n, np.uint8) for n in range(4)}
    assert fill(shelf, pictures)
    found = shelf.read(["3", "1"])
    assert set(found) == {"3", "1"}
    for key, picture in found.items():
        np.testing.assert_array_equal(picture, pictures[key])
