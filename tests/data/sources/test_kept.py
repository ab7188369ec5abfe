from __future__ import annotations

import os
from pathlib import Path

import pytest

from finetune.cache import cache_folder
from finetune.data.sources import kept
from finetune.data.sources.kept import LeftOut, kept_folder
from finetune.errors import DataError


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    return cache_folder("archives")


def fill(folder: Path) -> LeftOut:
    (folder / "cat").mkdir()
    (folder / "cat" / "1.png").write_bytes(b"1234")
    return LeftOut(("a note",), ("a warning \u202e",))


def forbidden(folder: Path) -> LeftOut:
    raise AssertionError("it is there already")


def test_a_folder_is_filled_once(shelf: Path) -> None:
    first = kept_folder("archives", "key", fill)
    assert kept_folder("archives", "key", forbidden) == first
    assert first[1] == LeftOut(("a note",), ("a warning \u202e",))
    assert [path.name for path in shelf.iterdir()] == ["key"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, DataError("x")])
def test_what_fails_leaves_nothing(shelf: Path, error: BaseException) -> None:
    def failing(folder: Path) -> LeftOut:
        fill(folder)
        raise error

    with pytest.raises((ZeroDivisionError, KeyboardInterrupt, DataError)):
        kept_folder("archives", "key", failing)
    assert not any(shelf.iterdir())


def test_a_full_disk_names_the_cache(shelf: Path) -> None:
    def full(folder: Path) -> LeftOut:
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left") as caught:
        kept_folder("archives", "key", full)
    assert caught.value.where == str(shelf)
    assert "FINETUNE_CACHE" in caught.value.mend


def test_the_quicker_of_two_is_taken() -> None:
    def overtaken(folder: Path) -> LeftOut:
        other, _ = kept_folder("archives", "key", fill)
        (other / "cat" / "1.png").write_bytes(b"4321")
        return fill(folder)

    folder, _ = kept_folder("archives", "key", overtaken)
    assert (folder / "cat" / "1.png").read_bytes() == b"4321"


def test_one_that_is_no_longer_whole_is_replaced(shelf: Path) -> None:
    folder, _ = kept_folder("archives", "key", fill)
    (folder / "cat" / "1.png").unlink()
    folder, _ = kept_folder("archives", "key", fill)
    assert (folder / "cat" / "1.png").read_bytes() == b"1234"
    (shelf / "key" / "about.json").write_text("[]")
    kept_folder("archives", "key", fill)
    assert [path.name for path in shelf.iterdir()] == ["key"]


def test_only_what_was_abandoned_is_swept(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (".old.x.part", ".young.x.part"):
        (shelf / name / "files").mkdir(parents=True)
    os.utime(shelf / ".old.x.part", (0, 0))
    kept_folder("archives", "key", fill)
    assert {path.name for path in shelf.iterdir()} == {".young.x.part", "key"}
    monkeypatch.setattr(kept, "_ABANDONED", -1.0)
    kept_folder("archives", "other", fill)
    assert {path.name for path in shelf.iterdir()} == {"key", "other"}
