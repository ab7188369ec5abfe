from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import finetune
from finetune.console import Silent
from finetune.data.manifest import read_manifest
from finetune.errors import WeightsError
from finetune.evaluation.table import read_predictions

TINY = ["data.workers=0", "model.backbone=test_resnet", "input.size=48", "evaluate.bootstrap=100"]


def trained(data: Path, out: Path, recipe: str = "linear_probe", *more: str) -> finetune.Run:
    overrides = [*TINY, *more]
    return finetune.train(
        data, recipe, overrides=overrides, weights="none", out=out, reporter=Silent()
    )


def test_heat_lies_beside_the_thumbnails_and_training_images_are_judged(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    run = trained(photos({"red": 20, "blue": 20}), tmp_path / "run").directory
    items = {item.path: item for item in read_manifest(run.data, run.path).items}
    scored = [i for i in items.values() if i.split == "test"]
    assert all((run.images / f"{item.digest}.webp").is_file() for item in scored)
    for item in scored:
        with Image.open(run.images / f"{item.digest}.heat.webp") as picture:
            assert picture.size == (48, 48)
    table = read_predictions(run.out_of_fold)
    paths = [row.path for row in table.predictions]
    assert paths == sorted(path for path, item in items.items() if item.split == "train")
    assert {row.split for row in table.predictions} == {"out-of-fold"}
    assert all(row.label == items[row.path].label for row in table.predictions)


def test_a_network_that_gives_no_map_leaves_the_pictures_without(
    photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise WeightsError("the last stage of this network is not known")

    said: list[str] = []
    monkeypatch.setattr("finetune.api.heating.explain_answers", fails)
    monkeypatch.setattr(Silent, "say", lambda self, message: said.append(message))
    run = trained(photos({"red": 12, "blue": 12}), tmp_path / "run").directory
    line = "The report has no heat maps: the last stage of this network is not known."
    assert line in said
    assert "There are no heat maps" in run.report.read_text()
    assert not list(run.images.glob("*.heat.webp"))


def test_where_nothing_was_judged_out_of_fold_the_page_says_so(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    data = photos({"red": 12, "blue": 12})
    run = trained(data, tmp_path / "run", "full_finetune", "phases.0.epochs=1").directory
    assert not run.out_of_fold.exists()
    assert "Nothing was asked of the training images" in run.report.read_text()
