from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from finetune.cache import cache_folder
from finetune.cli.app import app
from finetune.features.store import FeatureStore


def test_what_is_kept_is_listed_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path))
    nothing = CliRunner().invoke(app, ["cache", "list"])
    assert "0.0 MiB of at most" in nothing.output
    size = {"input": {"size": 96}}
    network = {"name": "ResNet", "first": "layer4", "number_format": "float32"} | size
    for about in (network, {"pictures": "fitted"} | size):
        with FeatureStore.usual().shelf(about).writing(2**20) as writer:
            assert writer is not None
            writer.put({"image": np.zeros(2**18, "<f4")})
    shown = CliRunner().invoke(app, ["cache", "list"])
    assert shown.exit_code == 0
    (row,) = [line.split() for line in shown.output.splitlines() if "ResNet" in line]
    assert row[:6] == ["ResNet", "before", "layer4", "96", "float32", "1.0"]
    (row,) = [line.split() for line in shown.output.splitlines() if "pictures" in line]
    assert row[:5] == ["decoded", "pictures", "96", "fitted", "1.0"]
    cleared = CliRunner().invoke(app, ["cache", "clear"])
    assert "2.0 MiB freed" in cleared.output
    assert FeatureStore.usual().size() == 0


def test_all_kinds_are_listed_and_cleared_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path))
    for name in ("archives/key/files/cat", "datasets/key", "looks", "mine"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_bytes(bytes(2**19))
    shown = CliRunner().invoke(app, ["cache", "list"]).output
    for name in ("archives", "datasets", "looks"):
        assert f"{tmp_path / name}: 0.5 MiB (" in shown
    assert "mine" not in shown
    assert "1.5 MiB freed" in CliRunner().invoke(app, ["cache", "clear"]).output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert "archives" not in CliRunner().invoke(app, ["cache", "list"]).output


def test_only_known_kinds_lie_in_the_cache() -> None:
    with pytest.raises(KeyError, match="none of the kinds"):
        cache_folder("else")
