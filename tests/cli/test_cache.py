from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

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
