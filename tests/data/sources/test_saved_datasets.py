"""Folders as `datasets` saves them, written here by pyarrow in the same form."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from finetune.cache import cache_folder
from finetune.console import Silent
from finetune.data.reading import list_data, read_data, root_of
from finetune.data.rereading import verify_unchanged
from finetune.data.sources.saved_columns import choose_columns
from finetune.errors import DataError
from finetune.recipe.schema import DataOptions

IMAGE = {"_type": "Image"}
TEXT = {"dtype": "string", "_type": "Value"}
NUMBER = {"dtype": "int64", "_type": "Value"}
IMAGE_TYPE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
FEATURES = {"image": IMAGE, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pictures(tmp_path: Path, write_image: Callable[..., Path]) -> Callable[..., list[Any]]:
    """Cells of an image column: JPEG and PNG in turn, all different."""

    def make(count: int, seed: int = 0) -> list[Any]:
        kinds = [".jpg", ".png", ".webp", ".bmp", ".tif", ".gif"]
        paths = [
            write_image(tmp_path / "made" / f"{seed + n}{kinds[n % 6]}", seed=seed + n)
            for n in range(count)
        ]
        return [{"bytes": path.read_bytes(), "path": path.name} for path in paths]

    return make


def save(
    folder: Path,
    columns: dict[str, Any],
    features: dict[str, Any] = FEATURES,
    shards: int = 1,
    **state: Any,
) -> Path:
    """Write a dataset as ``save_to_disk`` of datasets 5 does."""
    folder.mkdir(parents=True)
    typed = {
        name: pa.array(cells, IMAGE_TYPE) if features[name] == IMAGE else pa.array(cells)
        for name, cells in columns.items()
    }
    table = pa.table(typed)
    size = -(-table.num_rows // shards)
    files = [f"data-{n:05d}-of-{shards:05d}.arrow" for n in range(shards)]
    for number, file in enumerate(files):
        part = table.slice(number * size, size)
        with pa.OSFile(str(folder / file), "wb") as sink, pa.ipc.new_stream(sink, part.schema) as w:
            w.write_table(part, max_chunksize=7)
    info = {"citation": "", "features": features, "license": ""}
    named = {"_data_files": [{"filename": file} for file in files], "_fingerprint": "36f57cd1"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "state.json").write_text(json.dumps(named | {"_split": None} | state))
    return folder


def save_dict(folder: Path, names: Sequence[str]) -> Path:
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(names)}))
    return folder


def test_images_come_as_they_are_under_the_names_of_their_classes(
    tmp_path: Path, pictures: Callable[..., list[Any]], told
) -> None:
    cells = pictures(20)
    data = save(tmp_path / "saved", {"image": cells, "label": [0, 1] * 10}, shards=3)
    before = {path: path.read_bytes() for path in data.iterdir()}
    manifest = read_data(data, DataOptions.model_validate({}), 1, told)
    assert Counter(item.label for item in manifest.items) == {"cat": 10, "dog": 10}
    assert [manifest.file(item).read_bytes() for item in manifest.items] == [
        cell["bytes"] for cell in cells
    ]
    suffixes = [Path(item.path).suffix for item in manifest.items]
    assert suffixes[:6] == [".jpg", ".png", ".webp", ".bmp", ".tif", ".gif"]
    assert told.said[0] == "Read of the dataset: images from image, classes from label."
    assert told.warned == []
    assert manifest.root == root_of(data, Silent())
    assert manifest.root.is_relative_to(cache_folder("datasets"))
    assert {path: path.read_bytes() for path in data.iterdir()} == before


def test_splits_are_parts(tmp_path: Path, pictures: Callable[..., list[Any]]) -> None:
    names = {"train": "train", "validation": "val", "test": "test"}
    for number, name in enumerate(names):
        cells = pictures(6, 100 * number)
        save(tmp_path / "saved" / name, {"image": cells, "label": [0, 1] * 3})
    data = save_dict(tmp_path / "saved", list(names))
    listing = list_data(data)
    assert Counter(item.split for item in listing.items) == dict.fromkeys(names.values(), 6)
    assert len(list_data(data / "test").items) == 6


@pytest.mark.parametrize(
    "names", [["train", "unsupervised"], ["train", "val", "dev"], ["test"], ["train", "../other"]]
)
def test_splits_that_are_no_parts_are_told(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "saved").mkdir()
    with pytest.raises(DataError, match="each has to be train, val or test") as caught:
        list_data(save_dict(tmp_path / "saved", names))
    assert caught.value.where == str(tmp_path / "saved")


def test_strings_are_classes_and_groups(tmp_path: Path, pictures: Callable[..., list[Any]]) -> None:
    cells = pictures(4)
    columns = {
        "picture": cells,
        "species": ["../x", "a/b", None, "a/b"],
        "group": ["g", None, "g", "h"],
        "weight": [1, 2, 3, 4],
    }
    features = {"picture": IMAGE, "species": TEXT, "group": TEXT, "weight": NUMBER}
    listing = list_data(save(tmp_path / "saved", columns, features))
    assert [(item.label, item.group) for item in listing.items] == [
        ("../x", "g"), ("a/b", ""), ("a/b", "h"),
    ]  # fmt: skip
    assert listing.notes[-1] == "Columns that are not used: weight."
    assert listing.warnings == ("1 row of the dataset without an image or a class left out",)
    assert list_data(tmp_path / "saved") == listing


def test_a_dictionary_of_strings_is_strings(
    tmp_path: Path, pictures: Callable[..., list[Any]]
) -> None:
    labels = pa.array(["b", "a", "b"]).dictionary_encode()
    data = save(
        tmp_path / "saved",
        {"image": pictures(3), "label": labels},
        {"image": IMAGE, "label": TEXT},
    )
    assert [item.label for item in list_data(data).items] == ["b", "a", "b"]


def test_rows_without_image_or_class_are_counted(
    tmp_path: Path, pictures: Callable[..., list[Any]]
) -> None:
    cells = [*pictures(4), None, {"bytes": None, "path": None}]
    data = save(tmp_path / "saved", {"image": cells, "label": [0, 1, -1, None, 0, 1]})
    listing = list_data(data)
    assert len(listing.items) == 2
    assert listing.warnings == ("4 rows of the dataset without an image or a class left out",)


@pytest.mark.parametrize("path", ["/etc/passwd", "images/1.png"])
def test_files_that_are_only_named_are_never_read(
    tmp_path: Path, pictures: Callable[..., list[Any]], path: str
) -> None:
    cells = [*pictures(1), {"bytes": None, "path": path}]
    data = save(tmp_path / "saved", {"image": cells, "label": [0, 1]})
    with pytest.raises(DataError, match=f"only named, {path}, and not held"):
        list_data(data)
    assert not any(cache_folder("datasets").iterdir())


CLASSES = {"names": ["a"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "no column of images .*; its columns are none"),
        ({"label": CLASSES, "x": TEXT}, "no column of images .*; its columns are label, x"),
        ({"image": IMAGE, "label": NUMBER}, 'no column of classes (.|\n)*cast_column."label"'),
        ({"a": IMAGE, "b": IMAGE, "label": CLASSES}, "2 columns of images .*: a, b"),
        ({"image": IMAGE, "fine": CLASSES, "coarse": CLASSES}, "of classes .*: fine, coarse"),
        ({"image": IMAGE, "x": TEXT, "y": TEXT}, "2 columns of classes .*: x, y"),
        ({"image": IMAGE, "label": {"_type": "ClassLabel"}}, "label has no names of classes"),
        ({"image": [IMAGE], "label": CLASSES}, "no column of images"),
    ],
)
def test_which_column_is_meant_has_to_be_clear(features: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_columns(features)


def test_the_usual_names_are_meant_and_numbered_classes_come_first() -> None:
    two = choose_columns({"thumb": IMAGE, "image": IMAGE, "coarse": CLASSES, "label": CLASSES})
    assert (two.image, two.label, two.unused) == ("image", "label", ("thumb", "coarse"))
    one = choose_columns({"img": IMAGE, "label": TEXT, "kind": CLASSES})
    assert (one.image, one.label, one.classes) == ("img", "kind", ("a",))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"_data_files": [{"filename": "../other.arrow"}]}, "not beside it: ../other.arrow"),
        ({"_data_files": [{"filename": "gone.arrow"}]}, "are missing: gone.arrow"),
        ({"_data_files": None}, "names no data files"),
        ({"_indices_data_files": [{"filename": "indices.arrow"}]}, "selection of rows"),
    ],
)
def test_faulty_states_are_told(
    tmp_path: Path,
    pictures: Callable[..., list[Any]],
    state: dict[str, Any],
    message: str,
) -> None:
    data = save(tmp_path / "saved", {"image": pictures(2), "label": [0, 1]}, **state)
    with pytest.raises(DataError, match=message) as caught:
        list_data(data)
    assert caught.value.where == str(data)


def test_damage_is_told(tmp_path: Path, pictures: Callable[..., list[Any]]) -> None:
    columns = {"image": pictures(9), "label": [0, 1, 0] * 3}
    data = save(tmp_path / "saved", columns)
    (file,) = data.glob("*.arrow")
    file.write_bytes(file.read_bytes()[:-700])
    with pytest.raises(DataError, match=r"data-00000-of-00001.arrow can't be read"):
        list_data(data)
    assert not any(cache_folder("datasets").iterdir())
    (data / "state.json").write_text("[1]")
    with pytest.raises(DataError, match="is not as datasets writes it"):
        list_data(data)
    (data / "state.json").write_text("{")
    with pytest.raises(DataError, match=r"state\.json can't be read"):
        list_data(data)
    strange = save(tmp_path / "strange", columns | {"label": [0, 7, 0] * 3})
    with pytest.raises(DataError, match="has the class number 7, but names of 2 classes"):
        list_data(strange)


def test_it_is_laid_down_once_and_again_when_it_was_removed(
    tmp_path: Path, pictures: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = save(tmp_path / "saved", {"image": pictures(12), "label": [0, 1] * 6})
    manifest = read_data(data, DataOptions.model_validate({}), 1, Silent())
    shutil.rmtree(cache_folder("datasets"))
    assert root_of(data, Silent()) == manifest.root
    verify_unchanged(manifest, 10**6, Silent())
    monkeypatch.setattr("finetune.data.sources.saved_datasets.lay_down", None)
    assert list_data(data.rename(tmp_path / "moved")).root == manifest.root


def test_images_that_have_no_room_are_not_begun_with(
    tmp_path: Path, pictures: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 100

    data = save(tmp_path / "saved", {"image": pictures(2), "label": [0, 1]})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage)
    with pytest.raises(DataError, match="and the disk of the cache has 0 MiB"):
        list_data(data)
