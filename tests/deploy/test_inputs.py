from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.deploy.inputs import find_images
from finetune.errors import DataError


def test_folders_files_and_globs_each_once(photos: Callable[..., Path]) -> None:
    data = photos({"a": 2, "b": 1})
    (data / "a" / "notes.txt").write_text("no image", encoding="utf-8")
    (data / ".hidden.png").write_bytes(b"")
    (data / "a" / "odd.name").write_bytes(b"")
    found = find_images([str(data / "b" / "000.png"), str(data), str(data / "*" / "*.png")])
    assert [Path(name).relative_to(data).as_posix() for name in found] == [
        *("b/000.png", "a/000.png", "a/001.png")
    ]
    odd = data / "a" / "odd.name"
    assert find_images([str(odd)]) == find_images(odd) == find_images(str(odd)) == [str(odd)]


def test_all_inputs_that_name_nothing_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as told:
        find_images([str(tmp_path / "gone.jpg"), str(tmp_path / "empty")])
    assert "gone.jpg: no such file" in str(told.value)
    assert "empty: a folder without images" in str(told.value)


def test_names_with_glob_characters_are_files_first(tmp_path: Path) -> None:
    odd = tmp_path / "[a]*.png"
    odd.write_bytes(b"")
    (tmp_path / "a.png").write_bytes(b"")
    assert find_images([str(odd)]) == [str(odd)]
