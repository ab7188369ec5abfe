from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from finetune.console import Silent
from finetune.data.reading import list_data, read_data
from finetune.errors import DataError
from finetune.recipe.schema import DataOptions


def options(**values) -> DataOptions:
    return DataOptions.model_validate(values)


def read(data, told=None, **values):
    return read_data(data, options(**values), 1, told or Silent())


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in sorted(root.rglob("*"))}


def counts(manifest) -> Counter:
    return Counter((item.split, item.label) for item in manifest.items if item.status == "ok")


def test_a_folder_of_class_folders_is_divided_and_left_untouched(write_folder, told):
    root = write_folder({"cat": 20, "dog/big": 12, "dog/small": 8})
    before = snapshot(root)
    manifest = read(root, told, val=0.2, test=0.1)
    assert manifest.classes == ("cat", "dog")
    assert counts(manifest) == {
        ("train", "cat"): 14, ("train", "dog"): 14, ("val", "cat"): 4, ("val", "dog"): 4,
        ("test", "cat"): 2, ("test", "dog"): 2,
    }  # fmt: skip
    assert all(len(item.digest) == 64 and manifest.file(item).is_file() for item in manifest.items)
    assert snapshot(root) == before
    assert told.warned == []


def test_split_folders_in_any_case_are_respected(write_folder, told):
    root = write_folder(
        {f"{split}/{name}": 4 for split in ("TRAIN", "Valid", "test") for name in ("a1", "b1")}
    )
    manifest = read(root, told)
    assert {item.split for item in manifest.part("val")} == {"val"}
    assert all(item.path.startswith("Valid/") for item in manifest.part("val"))
    assert [len(manifest.part(p)) for p in ("train", "val", "test")] == [8, 8, 8]
    assert told.said == []


def test_val_without_test_is_the_test_part_and_that_is_said(write_folder, told):
    root = write_folder({"train/a1": 10, "train/b1": 10, "val/a1": 3, "val/b1": 3})
    manifest = read(root, told)
    assert all(item.path.startswith("val/") for item in manifest.part("test"))
    assert len(manifest.part("test")) == 6
    assert len(manifest.part("val")) == 3
    assert "it is the test part here" in told.said[0]
    assert told.said[1] == "Carved out of DATA's train part: val."


def test_a_train_folder_beside_other_classes_is_a_class(write_folder):
    manifest = read(write_folder({"train": 5, "bus": 5, "tram": 5}))
    assert manifest.classes == ("bus", "train", "tram")


def test_splits_with_something_beside_them_are_told_to_be_classes(write_folder, told):
    manifest = read(write_folder({"train": 5, "test": 5, "notes": 5}), told)
    assert manifest.classes == ("notes", "test", "train")
    assert told.warned[0] == (
        "test, train are taken for classes, since notes stands beside them. If they are splits, "
        "take the rest elsewhere."
    )


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"train/a1": 2, "val/a1": 1, "valid/a1": 1}, "mean the same part: val, valid"),
        ({"val/a1": 2, "test/b1": 1}, "there is test, val but no train folder"),
        ({"cat": 5}, "one class in all: cat \\(5 images\\)"),
        ({"cat": 1, "dog": 1, "cow": 0}, "2 images for 3 classes"),
        ({"cat": 3, "Cat": 2}, "'Cat' \\(2 images\\) and 'cat' \\(3 images\\)"),
        ({"a b": 3, "a  b": 2}, "letter case or blanks"),
        ({"caf\u00e9": 3, "cafe\u0301": 2}, "letter case or blanks"),
        ({"train/a1": 4, "train/b1": 4, "test/c1": 2}, "class c1: 2 images in test, none in train"),
        ({"cat": 2, "dog": 2}, "too few images to keep some apart for test, val"),
        ({"cat": 0, "dog": 0}, "there is no image"),
        ({}, "no class folders; it holds nothing"),
    ],
)
def test_what_cannot_be_learnt_from_is_an_error(write_folder, folders, message):
    with pytest.raises(DataError, match=message):
        read(write_folder(folders))


@pytest.mark.parametrize(
    ("group", "mend"),
    [
        ({"pattern": "^(cat|dog)"}, "Smaller groups: give data.group.pattern another pattern. "),
        ({"exif": 5}, "Smaller groups: give data.group.exif fewer minutes. "),
        ("none", "where there are groups. Give more images"),
    ],
)
def test_groups_that_leave_nothing_to_keep_apart_are_named(write_folder, group, mend):
    root = write_folder({"cat": 2 if group == "none" else 6, "dog": 2 if group == "none" else 6})
    for file in root.rglob("*.png"):
        _set_time(file, "2024:05:31 09:12:07" if "cat" in str(file) else "2024:05:31 12:00:00")
    with pytest.raises(DataError, match="too few images to keep some apart") as caught:
        read(root, group=group)
    assert mend in caught.value.mend


def test_groups_of_a_table_that_leave_nothing_to_keep_apart_are_named(write_folder):
    root = write_folder({"cat": 6, "dog": 6})
    files = [file.relative_to(root).as_posix() for file in sorted(root.rglob("*.png"))]
    rows = [f"{file},{file[:3]},{file[:3]}\n" for file in files]
    (root / "t.csv").write_text("path,label,group\n" + "".join(rows))
    with pytest.raises(DataError, match=r"near-duplicates \(data\.group is auto\)\. Give more"):
        read(root / "t.csv")


def _set_time(file: Path, time: str) -> None:
    image = Image.open(file)
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "DC210"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = time
    image.save(file, exif=exif)


def test_upper_and_lower_case_letters_are_different_classes(write_folder):
    assert read(write_folder({"A": 4, "a": 4})).classes == ("A", "a")


def test_loose_images_get_the_layout_explained(tmp_path, write_image):
    write_image(tmp_path / "1.jpg")
    write_image(tmp_path / "2.jpg")
    with pytest.raises(DataError) as caught:
        list_data(tmp_path)
    assert "2 images (1.jpg, 2.jpg) but no class folders" in str(caught.value)
    assert "photos/cat/1.jpg" in str(caught.value)


def test_a_missing_path_names_what_is_near(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="Beside it there is photos"):
        list_data(tmp_path / "photo")
    with pytest.raises(DataError, match="does not exist either"):
        list_data(tmp_path / "x" / "y")


def test_other_files_and_run_directories_are_refused_as_data(tmp_path):
    for name in ("photos.rar", "photos.tar.zst"):
        (tmp_path / name).write_bytes(b"PK")
        with pytest.raises(DataError, match=r"is a \.(rar|zst) file\nUnpack it first"):
            list_data(tmp_path / name)
    for name in ("recipe.yaml", "environment.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match="is a run directory"):
        list_data(tmp_path)


def test_clutter_is_no_class_and_other_files_are_counted(write_folder, write_image, told):
    root = write_folder({"cat": 5, "dog": 5, "cow": 0, ".hidden": 2, "__MACOSX": 2, "runs/x": 2})
    for name in ("recipe.yaml", "environment.json"):
        (root / "runs" / name).write_text("{}")
    for name in ("a.txt", "b.txt", "c.HEIC", "Thumbs.db", "._0.png"):
        (root / "cat" / name).write_text("x")
    write_image(root / "loose.png")
    manifest = read(root, told)
    assert manifest.classes == ("cat", "dog")
    assert len(manifest.items) == 10
    assert told.said == ["Left out, as they are no images: 2 .txt."]
    assert told.warned[0] == "1 image in no class folder left out: loose.png"
    assert told.warned[1].startswith("left out: 1 .heic.")
    assert told.warned[2] == "1 class left out, without an image that can be read: cow"


def test_links_in_a_circle_end_and_bring_no_strangers(write_folder, tmp_path, write_image):
    root = write_folder({"cat/kittens": 4, "dog": 4})
    write_image(tmp_path / "elsewhere" / "9.png", seed=9)
    (root / "cat" / "loop").symlink_to(root / "cat", target_is_directory=True)
    (root / "cat" / "up").symlink_to(root, target_is_directory=True)
    (root / "cat" / "higher").symlink_to(tmp_path, target_is_directory=True)
    (root / "cat" / "beside").symlink_to(root / "dog", target_is_directory=True)
    (root / "cat" / "self").symlink_to("self")
    (root / "cat" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    found = [item.path for item in list_data(root).items if item.label == "cat"]
    assert found == ["cat/kittens/0.png", "cat/kittens/1.png", "cat/kittens/2.png",
                     "cat/kittens/3.png", "cat/more/9.png"]  # fmt: skip


@pytest.fixture
def with_bad_files(write_folder):
    root = write_folder({"cat": 10, "dog": 10})
    (root / "cat" / "empty.jpg").touch()
    (root / "cat" / "text.jpg").write_text("not an image")
    (root / "dog" / "gone.png").symlink_to("nowhere.png")
    (root / "dog" / "cut.png").write_bytes((root / "dog" / "0.png").read_bytes()[:150])
    os.mkfifo(root / "dog" / "pipe.png")
    return root


def test_bad_files_are_set_aside_by_name(with_bad_files, told):
    manifest = read(with_bad_files, told)
    bad = {item.path: item.reason for item in manifest.items if item.status == "bad"}
    assert bad == {
        "cat/empty.jpg": "empty file",
        "cat/text.jpg": "not an image of the formats JPEG, PNG, WebP, BMP, TIFF, GIF, but text",
        "dog/gone.png": "broken link",
        "dog/cut.png": "truncated: the end of the image is missing",
        "dog/pipe.png": "not a regular file",
    }
    (warning,) = told.warned
    assert warning.startswith("5 files of 25 can't be read, set aside:\n")
    assert "  dog/gone.png: broken link" in warning
    assert sum(len(manifest.part(p)) for p in ("train", "val", "test")) == 20


def test_a_recipe_can_say_that_bad_files_end_it(with_bad_files):
    with pytest.raises(DataError) as caught:
        read(with_bad_files, on_bad_image="error")
    assert str(caught.value).count("\n  ") == 5


def test_many_bad_files_are_counted(write_folder, told):
    root = write_folder({"cat": 5, "dog": 5})
    for number in range(12):
        (root / "cat" / f"bad{number:02d}.jpg").touch()
    read(root, told)
    assert told.warned[0].endswith("and 4 more files")


def test_nothing_but_bad_files_is_an_error(write_folder):
    root = write_folder({"cat": 0, "dog": 0})
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        (root / name).touch()
    with pytest.raises(DataError, match="3 files of 3 can't be read"):
        read(root)


def test_counts_are_of_images_that_can_be_read(write_folder):
    root = write_folder({"cat": 5, "dog": 0})
    (root / "dog" / "1.jpg").touch()
    with pytest.raises(DataError, match="one class in all: cat"):
        read(root)


def test_a_bad_file_of_a_given_part_keeps_its_part(write_folder):
    root = write_folder({"train/a1": 9, "train/b1": 9, "test/a1": 2, "test/b1": 2})
    (root / "test" / "a1" / "bad.jpg").touch()
    manifest = read(root)
    (bad,) = [item for item in manifest.items if item.status == "bad"]
    assert bad.split == "test"
    assert bad not in manifest.part("test")


def test_small_classes_stay_in_train_and_are_told(write_folder, told):
    manifest = read(write_folder({"cat": 20, "dog": 20, "yak": 2}), told)
    assert {item.split for item in manifest.items if item.label == "yak"} == {"train"}
    assert "1 class of one or two images" in told.warned[0]
    assert "no image in test" in " ".join(told.warned)


def test_the_pixel_limit_sets_aside(write_folder, write_image, told):
    root = write_folder({"cat": 8, "dog": 8})
    write_image(root / "cat" / "large.png", size=(40, 30))
    manifest = read(root, told, max_pixels=1000)
    (bad,) = [item for item in manifest.items if item.status == "bad"]
    assert bad.reason == "40 x 30 pixels, over data.max_pixels (1,000)"


STRANGE = [
    "[red]b.png", "a\nb.png", "\x1b[31m.png", "=1+1.png", "a,b\".png", "\\x41.png", "'q.png",
    " .png", os.fsdecode(b"\xff\xfe.png"), "\u202eg.png", "%d{}.png",
]  # fmt: skip


def test_names_of_all_kinds_go_through(write_folder, write_image, tmp_path, told):
    root = write_folder({"=cat\x1b[1m": 6, os.fsdecode(b"d\xf6g"): 6})
    for number, name in enumerate(STRANGE):
        write_image(root / "=cat\x1b[1m" / name, seed=50 + number)
    (root / "=cat\x1b[1m" / "\x1b]bad\n.png").touch()
    manifest = read(root, told)
    from finetune.data.manifest import read_manifest

    manifest.write_csv(tmp_path / "data.csv")
    again = read_manifest(tmp_path / "data.csv", root)
    assert again == manifest
    assert again.digest() == manifest.digest()
    assert {item.path.partition("/")[2] for item in manifest.items} >= set(STRANGE)
    assert not any(set("\x1b\r") & set(text) for text in told.warned)


def test_the_split_depends_on_the_seed_and_nothing_else(write_folder):
    root = write_folder({"cat": 20, "dog": 20})
    first, second = read(root), read(root)
    assert first == second
    assert first.digest() != read_data(root, options(), 2, Silent()).digest()


@pytest.mark.real
def test_real_photographs_are_all_read(shared):
    manifest = read(shared / "datasets" / "hymenoptera")
    assert manifest.classes == ("ants", "bees")
    assert all(item.status == "ok" for item in manifest.items)
    assert len(manifest.part("test")) == 153


def test_a_picture_with_two_labels_is_told(write_folder, told):
    root = write_folder({"cat": 8, "dog": 8})
    shutil.copy(root / "cat" / "0.png", root / "dog" / "twin.png")
    read(root, told)
    (warning,) = [line for line in told.warned if "several classes" in line]
    assert "cat/0.png (cat), dog/twin.png (dog)" in warning


@pytest.mark.parametrize("key", ["fixes", "splits"])
def test_a_faulty_list_is_told_before_any_image_is_opened(write_folder, told, tmp_path, key):
    root = write_folder({"cat": 8, "dog": 8})
    (tmp_path / "list.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError):
        read(root, told, **{key: str(tmp_path / "list.csv")})
    assert told.advanced == 0
