from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import finetune
from finetune.console import Silent
from finetune.errors import DataError

TINY = ["model.backbone=test_resnet", "input.size=64", "data.workers=0", "evaluate.bootstrap=100"]


@pytest.fixture
def run(photos: Callable[..., Path], tmp_path: Path) -> finetune.Run:
    data = photos({"red": 12, "green": 12})
    return finetune.train(
        data, "linear_probe", overrides=TINY, weights="none", out=tmp_path / "run",
        reporter=Silent(),
    )  # fmt: skip


def test_a_picture_for_each_image_in_their_order(run: finetune.Run, tmp_path: Path) -> None:
    files = sorted((tmp_path / "photos").rglob("*.png"))[:18]  # more than a batch
    shown = run.explain(files, Silent())
    assert [(picture.mode, picture.size) for picture in shown] == [("RGB", (64, 64))] * 18
    (alone,) = run.explain(files[17], Silent())
    difference = np.abs(np.asarray(alone, dtype=int) - np.asarray(shown[17], dtype=int))
    assert difference.max() <= 2


def test_another_class_can_be_asked_about(run: finetune.Run, tmp_path: Path) -> None:
    file = tmp_path / "photos" / "red" / "000.png"
    red, green = (
        np.asarray(run.explain(file, Silent(), class_name=name)[0]) for name in ("red", "green")
    )
    (said,) = run.predict(file, Silent())["predicted"]
    (usual,) = run.explain(file, Silent())
    assert not (red == green).all()
    assert (np.asarray(usual) == {"red": red, "green": green}[said]).all()
    with pytest.raises(DataError, match="there is no class rad") as caught:
        run.explain(file, Silent(), class_name="rad")
    assert "The nearest is red" in str(caught.value)


def test_a_file_that_can_not_be_read_is_told(run: finetune.Run, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"bad\.jpg"):
        run.explain(tmp_path / "bad.jpg", Silent())
