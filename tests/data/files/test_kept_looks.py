from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.console import Silent, Task
from finetune.data.files import hygiene, kept_looks
from finetune.data.files.decoding import UnreadableImage
from finetune.data.files.hygiene import Looked, check_files
from finetune.data.files.kept_looks import KeptLooks
from finetune.data.files.looking import look_at
from finetune.data.manifest import Item
from tests.data.corpus.kinds import LIMIT, photo

NAMES = ("a.jpg", "b.png", "two\nlines.jpg", os.fsdecode(b"caf\xe9.png"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "looks"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images that settled: as far as we are told, two seconds and more ago."""
    (tmp_path / "data").mkdir()
    for seed, name in enumerate(NAMES):
        photo(seed=seed).save(tmp_path / "data" / name)
    monkeypatch.setattr(kept_looks, "_SETTLED", -1)
    return tmp_path / "data"


def look(root: Path, max_pixels: int = LIMIT, *, afresh: bool = False) -> Looked:
    items = [Item(name, "x") for name in NAMES]
    return check_files(root, items, max_pixels, Silent(), afresh=afresh)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened from now on."""
    seen: list[str] = []

    def noted(path: Path, max_pixels: int):
        seen.append(path.name)
        return look_at(path, max_pixels)

    monkeypatch.setattr(hygiene, "look_at", noted)
    return seen


def test_files_that_stayed_are_not_opened_again(root: Path, opened: list[str]) -> None:
    first = look(root)
    assert sorted(opened) == sorted(NAMES)
    opened.clear()
    again = look(root)
    assert opened == []
    assert again == first
    assert [type(each.animated) for each in again.looks.values()] == [bool] * len(NAMES)


def test_afresh_opens_them_all_the_same(root: Path, opened: list[str]) -> None:
    look(root)
    opened.clear()
    look(root, afresh=True)
    assert sorted(opened) == sorted(NAMES)


def test_the_cache_is_for_its_owner_alone(root: Path, cache: Path) -> None:
    look(root)
    assert cache.stat().st_mode & 0o77 == 0


def test_a_changed_file_is_looked_at_again_though_its_times_were_put_back(
    root: Path, opened: list[str]
) -> None:
    before = look(root)
    state = (root / "b.png").stat()
    content = (root / "b.png").read_bytes()
    photo(seed=9).save(root / "b.png")
    changed = (root / "b.png").read_bytes()[: len(content)].ljust(len(content), b"\0")
    (root / "b.png").write_bytes(changed)
    os.utime(root / "b.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    now = (root / "b.png").stat()
    assert (now.st_size, now.st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    opened.clear()
    after = look(root)
    assert opened == ["b.png"]
    assert after.items[1].digest != before.items[1].digest


def test_a_file_that_changed_a_moment_ago_is_not_kept(
    root: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_looks, "_SETTLED", 2 * 10**9)
    now = time.time_ns()
    monkeypatch.setattr("time.time_ns", lambda: now)
    for name in NAMES:
        os.utime(root / name, ns=(now, now))
    look(root)
    opened.clear()
    look(root)
    assert sorted(opened) == sorted(NAMES)
    monkeypatch.setattr("time.time_ns", lambda: now + 10 * 10**9)
    look(root)
    opened.clear()
    look(root)
    assert opened == []


def test_times_of_far_centuries_are_borne(root: Path, opened: list[str]) -> None:
    os.utime(root / "a.jpg", (-(10**10), -(10**10)))
    os.utime(root / "b.png", (2**35, 2**35))
    look(root)
    assert len(opened) == len(NAMES)
    look(root)


def test_a_file_that_changes_after_its_state_was_taken_is_looked_at_again(
    root: Path, opened: list[str]
) -> None:
    states = {name: (root / name).stat() for name in NAMES}
    photo(seed=8).save(root / "a.jpg")
    kept = KeptLooks.of(root)
    kept.write({name: look_at(root / name, LIMIT) for name in NAMES}, states)
    look(root)
    assert opened == ["a.jpg"]


def test_a_lower_limit_makes_kept_ones_bad(root: Path, opened: list[str]) -> None:
    assert all(item.status == "ok" for item in look(root).items)
    opened.clear()
    low = look(root, max_pixels=100)
    assert [item.status for item in low.items] == ["bad"] * len(NAMES)
    assert "over data.max_pixels (100)" in low.items[0].reason
    assert all(item.status == "ok" for item in look(root).items)


def test_bad_files_are_looked_at_each_time(root: Path, opened: list[str]) -> None:
    (root / "a.jpg").write_bytes(b"none")
    look(root)
    opened.clear()
    assert look(root).items[0].status == "bad"
    assert opened == ["a.jpg"]


@pytest.mark.parametrize(
    "content", [b"", b"no base", b"SQLite format 3\0" + bytes(200), bytes(8_192)]
)
def test_a_damaged_file_is_thrown_away(
    root: Path, cache: Path, opened: list[str], content: bytes
) -> None:
    first = look(root)
    (file,) = cache.iterdir()
    file.write_bytes(content)
    opened.clear()
    assert look(root) == first
    assert sorted(opened) == sorted(NAMES)
    opened.clear()
    assert look(root) == first
    assert opened == []


def test_another_table_is_thrown_away(root: Path, cache: Path, opened: list[str]) -> None:
    first = look(root)
    (file,) = cache.iterdir()
    base = sqlite3.connect(file)
    base.execute("DROP TABLE looks")
    base.execute("CREATE TABLE looks (path, other)")
    base.commit()
    base.close()
    assert look(root) == first
    opened.clear()
    assert look(root) == first
    assert opened == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_damage_gives_a_wrong_look_or_an_error(
    root: Path, cache: Path, data: st.DataObject
) -> None:
    for file in cache.glob("*"):
        file.unlink()
    truth = look(root)
    (file,) = cache.iterdir()
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))
    file.write_bytes(content[:cut])
    assert look(root) == truth
    assert look(root) == truth


def test_what_can_not_be_written_is_done_without(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.write_text("a file where the folder should be")
    assert all(item.status == "ok" for item in look(root).items)


def test_a_cache_that_can_only_be_read_is_used(
    root: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look(root)
    opened.clear()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("finetune.data.files.kept_looks.os.utime", refused)
    assert look(root) == first
    assert opened == []


def test_a_locked_file_is_not_waited_for_in_vain(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look(root)
    (file,) = cache.iterdir()
    monkeypatch.setattr(kept_looks, "_PATIENCE", 0.05)
    base = sqlite3.connect(file)
    base.execute("BEGIN EXCLUSIVE")
    assert look(root) == first
    base.close()
    assert file.exists()


def test_two_at_once(root: Path, opened: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: look(root, afresh=True), range(8)))
    assert all(result == results[0] for result in results)
    opened.clear()
    assert look(root) == results[0]
    assert opened == []


def test_another_version_is_not_read(
    root: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look(root)
    opened.clear()
    monkeypatch.setattr(kept_looks, "LOOK_VERSION", 10**6)
    look(root)
    assert sorted(opened) == sorted(NAMES)


def test_the_data_longest_unused_go_first(
    root: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir(parents=True)
    for age, name in enumerate(("new", "middle", "old")):
        (cache / f"{name}.sqlite").write_bytes(bytes(100_000))
        os.utime(cache / f"{name}.sqlite", (10**9 - age, 10**9 - age))
    monkeypatch.setattr(kept_looks, "MOST_BYTES", 150_000)
    look(root)
    left = {file.stem for file in cache.glob("*.sqlite")}
    assert "new" in left
    assert not left & {"old", "middle"}
    assert len(left) == 2


def test_reading_counts_as_use(root: Path, cache: Path) -> None:
    look(root)
    (file,) = cache.iterdir()
    os.utime(file, (10**9, 10**9))
    look(root)
    assert file.stat().st_mtime > 10**9


def test_nothing_is_kept_below_the_data(root: Path) -> None:
    look(root)
    assert {path.name for path in root.iterdir()} == set(NAMES)


def test_a_look_of_another_place_is_another(root: Path, tmp_path: Path, opened: list[str]) -> None:
    look(root)
    opened.clear()
    root.rename(tmp_path / "moved")
    look(tmp_path / "moved")
    assert sorted(opened) == sorted(NAMES)


def test_looks_are_kept_whole(root: Path) -> None:
    kept = KeptLooks.of(root)
    states = {name: (root / name).stat() for name in NAMES}
    seen = replace(look_at(root / "a.jpg", LIMIT), animated=True, taken="2024", camera="é 'x\"")
    kept.write({"a.jpg": seen, "b.png": replace(seen, sharpness=0.1 + 0.2)}, states)
    read = kept.read(states)
    assert read["a.jpg"] == seen
    assert read["b.png"].sharpness == 0.1 + 0.2
    with pytest.raises(UnreadableImage):
        look_at(root / "none.jpg", LIMIT)


def test_only_what_is_wanted_is_fetched(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptLooks.of(root)
    state, seen = (root / "a.jpg").stat(), look_at(root / "a.jpg", LIMIT)
    many = [*NAMES, *(f"{n}.jpg" for n in range(2_500))]
    kept.write(dict.fromkeys(many, seen), dict.fromkeys(many, state))
    fetched = []
    sealed = kept_looks._seal
    monkeypatch.setattr(kept_looks, "_seal", lambda *row: fetched.append(row[0]) or sealed(*row))
    assert kept.read(dict.fromkeys(NAMES, state)) == dict.fromkeys(NAMES, seen)
    assert len(fetched) == len(NAMES)
    assert kept.read(dict.fromkeys([*many, "none.jpg"], state)) == dict.fromkeys(many, seen)
    assert kept.read({}) == {}


class Interrupting(Silent):
    """A reporter whose user presses Ctrl-C after ten images."""

    seen = 0

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Task]:
        yield self

    def advance(self, count: int = 1, **scores: float) -> None:
        self.seen += count
        if self.seen == 10:
            raise KeyboardInterrupt


def test_an_interrupt_keeps_what_was_seen(root: Path, opened: list[str]) -> None:
    items = [Item(f"{n}.png", "x") for n in range(40)]
    for item in items:
        (root / item.path).write_bytes((root / "b.png").read_bytes())
    with pytest.raises(KeyboardInterrupt):
        check_files(root, items, LIMIT, Interrupting())
    opened.clear()
    looked = check_files(root, items, LIMIT, Silent())
    assert sorted(opened) == sorted(item.path for item in items[10:])
    assert len(looked.looks) == len(items)
