from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finetune.choosing import measuring
from finetune.choosing.measuring import look_at_data, look_at_machine
from finetune.choosing.traits import data_traits
from finetune.console import Silent
from finetune.data.files.looking import look_at
from finetune.data.manifest import Item
from finetune.data.reading import read_data
from finetune.model.device import pick_device
from finetune.recipe.loading import load_recipe

PIXELS = 10**8


@pytest.fixture
def looks(tmp_path: Path) -> dict[str, object]:
    for name, mode, size in (("a", "L", (40, 80)), ("b", "L", (30, 90)), ("c", "RGB", (50, 50))):
        Image.new(mode, size).save(tmp_path / f"{name}.png")
    return {name: look_at(tmp_path / f"{name}.png", PIXELS) for name in "abc"}


def test_traits_are_medians_and_shares(looks: dict[str, object]) -> None:
    items = [Item("a", "1"), Item("b", "1"), Item("c", "2")]
    found = data_traits(items, ["1", "2"], looks)  # type: ignore[arg-type]
    assert (found.images, found.classes, found.smallest, found.largest) == (3, 2, 1, 2)
    assert (found.side, found.aspect) == (40, 2.0)
    assert found.grey == pytest.approx(2 / 3)
    assert found.symbols
    assert found.imbalance == 2


def test_only_training_images_are_looked_at(photos: Callable[..., Path]) -> None:
    options = load_recipe("lp_ft").data
    manifest = read_data(photos({"red": 20, "blue": 20}), options, 1, Silent())
    found = look_at_data(manifest, PIXELS, Silent())
    assert found.images == len(manifest.part("train")) < 40
    shuffled = [
        replace(item, label="red") if item.split == "test" else item for item in manifest.items
    ]
    assert look_at_data(replace(manifest, items=tuple(shuffled)), PIXELS, Silent()) == found


def test_the_machine_is_told() -> None:
    machine = look_at_machine(pick_device())
    assert machine.cores >= 1
    assert machine.device


def test_the_probe_scores_what_is_said_of_the_own_class() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    found = measuring._probe_traits(probabilities, np.array([0, 1, 1]))
    assert found.images == 3
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.log_loss == pytest.approx(-np.log([0.5, 0.75, 0.1]).mean())
