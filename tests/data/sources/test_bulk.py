from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from finetune.data.sources import bulk

MIB = 2**20


def test_bytes_are_told_in_mebibytes_up_to_the_total(told) -> None:
    with bulk.bytes_shown("Reading", 300 * MIB + 1, told) as done:
        done.reach(MIB - 1)
        assert told.advanced == 0
        done.reach(5 * MIB)
        done.reach(4 * MIB)
        assert told.advanced == 5
        done.reach(10**12)
    assert told.advanced == 301


def test_little_work_is_not_shown(told) -> None:
    with bulk.bytes_shown("Reading", MIB, told) as done:
        done.reach(MIB)
    assert told.advanced == 0


def test_the_digest_is_that_of_the_file(
    tmp_path: Path, told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_SLOW", 0)
    content = bytes(range(256)) * 40_000
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        assert bulk.digest_of(file, "Reading", told) == hashlib.sha256(content).hexdigest()
    assert told.advanced == 10
