from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from finetune.data.public.digits import write_digits
from finetune.data.reading import list_data
from finetune.errors import DataError

CARDS = Path(__file__).resolve().parents[3] / "datasets"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new" / "digits"
    assert write_digits(folder) == 1797
    return folder


def test_the_folder_is_what_the_card_says(digits):
    card = yaml.safe_load((CARDS / "digits.yaml").read_text())
    listing = list_data(digits)
    assert Counter(item.label for item in listing.items) == card["classes"]
    assert len(listing.items) == card["images"]
    with Image.open(digits / listing.items[0].path) as image:
        assert list(image.size) == card["image_size"]
        assert image.mode == "L"
    text = (CARDS / "digits.md").read_text()
    assert "| " + " | ".join(str(n) for n in card["classes"].values()) + " | 1,797 |" in text
    assert "digits.md" in (CARDS / "README.md").read_text()


def test_the_numbers_can_be_had_back(digits):
    with Image.open(digits / "0" / "digit-0001.png") as image:
        values = np.rint(np.asarray(image)[::4, ::4] / 255 * 16)
    np.testing.assert_array_equal(values, load_digits().images[0])


def test_writing_again_changes_nothing(digits):
    before = {path: path.stat().st_mtime_ns for path in digits.rglob("*")}
    assert write_digits(digits) == 1797
    assert {path: path.stat().st_mtime_ns for path in digits.rglob("*")} == before
    assert [path.name for path in digits.parent.iterdir()] == ["digits"]


def test_an_empty_folder_is_filled_and_another_one_left_alone(tmp_path):
    (tmp_path / "empty").mkdir()
    assert write_digits(tmp_path / "empty") == 1797
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=r"1,798 files in it or missing"):
        write_digits(tmp_path / "mine")
    (tmp_path / "empty" / "3" / "digit-0004.png").write_bytes(b"changed")
    with pytest.raises(DataError, match=r"3/digit-0004\.png"):
        write_digits(tmp_path / "empty")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="can't be written"):
        write_digits(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "mine"]
