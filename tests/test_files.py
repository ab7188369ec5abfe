from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from finetune.files import replacing, sweep, write_json, write_text


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


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    for name in (".a.json.x1.part", "inner/.b.ckpt.x2.part", ".model.x3.part/c.safetensors"):
        write_text(tmp_path / name, "half")
    for name in ("a.json", "notes.part", ".hidden", "inner/b.ckpt"):
        write_text(tmp_path / name, "whole")
    sweep(tmp_path)
    kept = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert kept == {"a.json", "notes.part", ".hidden", "inner/b.ckpt"}


def test_a_full_disk_is_told_whatever_the_library_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with replacing(tmp_path / "file") as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise RuntimeError("unexpected pos 448 vs 342")

    with pytest.raises(RuntimeError):
        fail()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    with pytest.raises(OSError, match="No space left") as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_json_keeps_names_that_are_no_utf8(tmp_path):
    value = {"caf\u00e9 \udcff": ["\udc80", "\U0001f41c"]}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert "caf\u00e9" in text
