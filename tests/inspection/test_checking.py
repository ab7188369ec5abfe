"""All that is said of DATA, on folders with known faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finetune.console import Silent
from finetune.data.fixes import apply_fixes, read_fixes, write_fixes
from finetune.errors import DataError
from finetune.files import write_json
from finetune.inspection.checking import check_data, with_lookalikes
from finetune.inspection.findings import Findings, Lookalike
from finetune.recipe.schema import DataOptions

OPTIONS = DataOptions()


def check(data: Path, options: DataOptions = OPTIONS) -> Findings:
    return check_data(data, options, 1, Silent())


@pytest.fixture
def faulty(photos: Callable[..., Path]) -> Path:
    """Splits of DATA's own with a bad file, a blank one, copies, a leak and a conflict."""
    photos({"red": 12, "green": 12}, name="data/train")
    data = photos({"red": 4, "green": 4}, name="data/test", noise=50).parent
    train, test = data / "train", data / "test"
    (train / "red" / "bad.jpg").write_bytes(b"no image")
    Image.new("RGB", (50, 50), "white").save(train / "red" / "blank.png")
    (train / "red" / "copy.png").write_bytes((train / "red" / "001.png").read_bytes())
    (test / "red" / "leak.png").write_bytes((train / "red" / "002.png").read_bytes())
    (train / "green" / "conflict.png").write_bytes((train / "red" / "003.png").read_bytes())
    return data


def test_the_contract_of_what_is_written(faulty: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "check.json", check(faulty).to_dict())
    told = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    assert {"bad", "duplicates", "leaks", "warnings", "advice"} <= set(told)
    assert told["bad"] == [
        {
            "path": "train/red/bad.jpg",
            "reason": "not an image of the formats JPEG, PNG, WebP, BMP, TIFF, GIF, but text",
        }
    ]
    assert {
        "paths": ["train/red/001.png", "train/red/copy.png"],
        "kind": "exact",
        "labels": ["red", "red"],
        "splits": ["train", "train"],
    } in told["duplicates"]
    leak = {"paths": ["train/red/002.png", "test/red/leak.png"], "splits": ["train", "test"]}
    assert leak | {"kind": "exact"} in told["leaks"]
    assert all(isinstance(text, str) and text for text in told["warnings"] + told["advice"])


def test_what_a_person_should_look_at_is_said(faulty: Path) -> None:
    warnings = "\n".join(check(faulty).sentences())
    assert "1 image is nearly one colour: train/red/blank.png" in warnings
    assert "1 picture stands in several classes" in warnings
    assert "train/green/conflict.png (green) and train/red/003.png (red)" in warnings


def test_the_suggestions_can_be_followed_and_then_nothing_is_left_to_suggest(
    faulty: Path, tmp_path: Path
) -> None:
    findings = check(faulty)
    write_fixes(tmp_path / "fixes.csv", findings.fixes)
    fixed = apply_fixes(findings.items, read_fixes(tmp_path / "fixes.csv"), tmp_path)
    gone = {item.path for item in fixed.items if item.status == "dropped"}
    assert gone == {"train/red/blank.png", "train/red/copy.png", "train/red/002.png"}
    again = check(faulty, DataOptions(fixes=str(tmp_path / "fixes.csv")))
    assert again.leaks == []
    assert [fix for fix in again.fixes if fix.action and "bad.jpg" not in fix.path] == []


def test_dropped_images_are_no_longer_told_of(faulty: Path, tmp_path: Path) -> None:
    write_fixes(tmp_path / "fixes.csv", check(faulty).fixes)
    again = check(faulty, DataOptions(fixes=str(tmp_path / "fixes.csv")))
    assert "blank" not in {problem.kind for problem in again.problems}


def test_names_of_any_kind_are_written(photos: Callable[..., Path], tmp_path: Path) -> None:
    data = photos({"red": 5, "green": 5})
    (data / "red").rename(data / "r\udce9d\n")
    (data / "r\udce9d\n" / "\udcff.jpg").write_bytes(b"no image")
    told = check(data).to_dict()
    write_json(tmp_path / "check.json", told)
    assert json.loads((tmp_path / "check.json").read_text(encoding="utf-8")) == told


def test_counts_are_those_of_a_training(faulty: Path) -> None:
    counts = check(faulty).counts
    assert list(counts) == ["green", "red"]
    assert sum(counts["red"].values()) == 12 + 2 + 5
    assert counts["red"]["test"] == 5


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"red": 5}, "one class in all"),
        ({"red": 1, "green": 1, "blue": 0}, "2 images for 3 classes"),
        ({"red": 5, "Red": 5}, "differ only in letter case"),
        ({"red": 5, "green": 0}, "1 class without an image that can be read: green"),
    ],
)
def test_what_would_end_a_training_is_a_warning(
    photos: Callable[..., Path], counts: dict[str, int], said: str
) -> None:
    assert said in "\n".join(check(photos(counts)).warnings)


def test_only_what_is_no_data_ends_a_check(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        check(tmp_path / "none")


def test_no_image_that_can_be_read_is_said(photos: Callable[..., Path]) -> None:
    data = photos({"red": 0, "green": 0})
    (data / "red" / "a.jpg").write_bytes(b"none")
    findings = check(data)
    assert "there is no image that can be read" in findings.sentences()
    assert findings.advice == []


def test_a_camera_that_tells_the_class_is_said(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for name, ending in (("cat", "png"), ("dog", "jpg")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(20):
            pixels = generator.integers(0, 256, (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.{ending}")
    findings = check(tmp_path / "data")
    assert findings.metadata[0].accuracy == 1
    assert (
        "the file format of a file alone tells its class with an accuracy of 1.00 (guessing: 0.50)"
        in ("\n".join(findings.sentences()))
    )


def test_lookalikes_are_places_of_items(photos: Callable[..., Path]) -> None:
    findings = check(photos({"red": 3, "green": 3}))
    assert findings.to_dict()["lookalikes"] is None
    features = np.eye(4, 5, dtype=np.float32)
    features[3] = features[1] + 0.01
    found = with_lookalikes(findings, [0, 2, 3, 5], features)
    assert found.lookalikes == [Lookalike(2, 5, pytest.approx(1, abs=0.01))]
    (told,) = found.to_dict()["lookalikes"]
    assert told["paths"] == [findings.items[2].path, findings.items[5].path]
    assert told["labels"] == ["green", "red"]
    json.dumps(told)


def test_what_was_done_with_data_is_told(photos) -> None:
    photos({"red": 9, "blue": 9}, name="data/train")
    data = photos({"red": 4, "blue": 4}, name="data/val").parent
    findings = check(data)
    assert any("it is the test part here" in note for note in findings.notes)
    assert findings.to_dict()["notes"] == list(findings.notes)
