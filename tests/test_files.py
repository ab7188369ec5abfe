from __future__ import annotations

import stat
from pathlib import Path

import pytest

from finetune.files import replacing, write_json, write_text


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="half-way"):
        write_half(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def write_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        raise RuntimeError("half-way")


def test_a_written_file_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"a": 1})
    assert path.read_text(encoding="utf-8") == '{\n  "a": 1\n}\n'
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", float("nan"))
    assert not list(tmp_path.iterdir())
