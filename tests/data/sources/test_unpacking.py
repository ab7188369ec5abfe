from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from finetune.cache import cache_folder
from finetune.console import Silent
from finetune.data.manifest import Manifest
from finetune.data.reading import list_data, read_data, root_of
from finetune.data.rereading import read_labelled, verify_unchanged
from finetune.data.sources import unpacking
from finetune.errors import DataError
from finetune.recipe.schema import DataOptions

FORMATS = {
    "zip": "zip", "tar": "tar", "tar.gz": "gztar", "tar.bz2": "bztar", "tar.xz": "xztar",
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(data: Path, reporter: Silent | None = None) -> Manifest:
    return read_data(data, DataOptions.model_validate({}), 1, reporter or Silent())


def pack(folder: Path, name: str = "a.zip") -> Path:
    """An archive of what is in ``folder``."""
    suffix = name.partition(".")[2]
    packed = shutil.make_archive(str(folder.parent / "packed"), FORMATS[suffix], folder)
    return Path(packed).rename(folder.parent / name)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_kind_of_archive_gives_what_its_folder_gives(
    write_folder: Callable[[Mapping[str, int]], Path], told, suffix: str
) -> None:
    root = write_folder({"cat": 10, "dog/big": 6, "dog/small": 4})
    (root / "cat" / "notes.txt").write_text("notes")
    (root / "cat" / "raw.HEIC").write_text("heic")
    data = pack(root, f"photos.{suffix}")
    before = data.read_bytes()
    manifest = read(data, told)
    assert manifest.items == read(root).items
    assert manifest.root.is_relative_to(cache_folder("archives"))
    assert told.said[1:] == ["Left out, as they are no images: 1 .txt."]
    assert told.said[0] == f"It is unpacked in {manifest.root}."
    assert told.warned[0].startswith("left out: 1 .heic.")
    assert data.read_bytes() == before
    again = list_data(data)
    assert (again.notes, again.warnings) == (tuple(told.said), tuple(told.warned))


def test_other_names_and_another_compression_than_the_name_says(
    write_folder: Callable[[Mapping[str, int]], Path],
) -> None:
    root = write_folder({"cat": 5, "dog": 5})
    shutil.copy(pack(root, "photos.tar.gz"), root.parent / "PHOTOS.TGZ")
    shutil.copy(pack(root, "photos.tar"), root.parent / "plain.tar.gz")
    for name in ("PHOTOS.TGZ", "plain.tar.gz"):
        assert len(read(root.parent / name).items) == 10


def test_only_its_owner_may_read_what_was_unpacked(
    write_folder: Callable[[Mapping[str, int]], Path],
) -> None:
    list_data(pack(write_folder({"cat": 1, "dog": 1})))
    (kept,) = cache_folder("archives").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o700
    assert cache_folder("archives").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("folders", "inside", "paths"),
    [
        ({"photos/cat": 1, "photos/dog": 1}, "photos", {"cat/0.png", "dog/0.png"}),
        ({"a/photos/cat": 1, "a/photos/dog": 1}, "a/photos", {"cat/0.png", "dog/0.png"}),
        ({"x/train/cat": 1, "x/test/cat": 1}, "x", {"train/cat/0.png", "test/cat/0.png"}),
        ({"train/cat": 1, "val/cat": 1}, "", {"train/cat/0.png", "val/cat/0.png"}),
        ({"train/cat": 1, "train/dog": 1}, "", {"train/cat/0.png", "train/dog/0.png"}),
        ({"test/cat": 1, "test/dog": 1}, "test", {"cat/0.png", "dog/0.png"}),
        ({"cat": 2}, "", {"cat/0.png", "cat/1.png"}),
        ({"photos/cat": 1, "__MACOSX/photos/cat": 1}, "photos", {"cat/0.png"}),
    ],
)
def test_a_folder_that_wraps_all_is_stepped_into(
    write_folder: Callable[[Mapping[str, int]], Path],
    folders: dict[str, int],
    inside: str,
    paths: set[str],
) -> None:
    root = write_folder(folders)
    (root / "README.md").write_text("read me")
    (root / ".DS_Store").write_text("clutter")
    listing = list_data(pack(root))
    assert listing.root.as_posix().endswith(f"/files/{inside}".rstrip("/"))
    assert {item.path for item in listing.items} == paths
    assert listing.root == root_of(root.parent / "a.zip", Silent())


def test_an_empty_class_is_told_as_of_a_folder(
    write_folder: Callable[[Mapping[str, int]], Path],
) -> None:
    root = write_folder({"cat": 1, "dog": 1, "cow": 0})
    assert list_data(pack(root)).classes == list_data(root).classes == {"cat", "cow", "dog"}


def test_errors_name_the_archive(write_folder: Callable[[Mapping[str, int]], Path]) -> None:
    data = pack(write_folder({"cat": 3}))
    with pytest.raises(DataError, match="one class in all") as caught:
        read(data)
    assert caught.value.where == str(data)
    empty = pack(write_folder({}).parent / "photos", "empty.zip")
    with zipfile.ZipFile(empty, "w"):
        pass
    with pytest.raises(DataError, match="no class folders; it holds nothing") as caught:
        list_data(empty)
    assert caught.value.where == str(empty)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_in_an_archive_lists_its_images(
    write_folder: Callable[[Mapping[str, int]], Path], suffix: str
) -> None:
    root = write_folder({"all/images": 12})
    rows = {
        "path": [f"images/{n}.png" for n in range(12)],
        "label": ["cat", "dog"] * 6,
        "split": ["train"] * 8 + ["test"] * 4,
    }
    write_table(root / "all" / f"list.{suffix}", rows)
    manifest = read(pack(root))
    assert manifest.classes == ("cat", "dog")
    assert len(manifest.part("test")) == 4


def write_table(path: Path, rows: dict[str, list[str]]) -> None:
    frame = pd.DataFrame(rows)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../1.png", "images/../../1.png", "C:\\1.png", "..\\1.png"]
)
def test_a_table_in_an_archive_names_nothing_outside(
    write_folder: Callable[[Mapping[str, int]], Path], path: str
) -> None:
    root = write_folder({"images": 2})
    write_table(root / "list.csv", {"path": ["images/0.png", path], "label": ["a", "b"]})
    with pytest.raises(DataError, match="its table names files that are not in it"):
        list_data(pack(root))


def test_tables_that_name_no_images_are_left_out(
    write_folder: Callable[[Mapping[str, int]], Path],
) -> None:
    root = write_folder({"cat": 1, "dog": 1})
    write_table(root / "camera.csv", {"camera": ["x"]})
    listing = list_data(pack(root))
    assert len(listing.items) == 2
    assert "no columns path and label: camera.csv" in listing.notes[-1]
    for name in ("1.csv", "2.csv"):
        write_table(root / name, {"path": ["cat/0.png"], "label": ["cat"]})
    with pytest.raises(DataError, match=r"several tables of images: 1\.csv, 2\.csv"):
        list_data(pack(root))


def test_a_lone_table_with_other_columns_is_told(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    write_table(tmp_path / "photos" / "list.csv", {"file": ["x"], "label": ["x"]})
    with pytest.raises(DataError, match="there is no column path"):
        list_data(pack(tmp_path / "photos"))


def test_it_is_unpacked_once(
    write_folder: Callable[[Mapping[str, int]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pack(write_folder({"cat": 3, "dog": 3}))
    first = list_data(data)
    monkeypatch.setattr(unpacking, "zip_entries", None)
    moved = data.rename(data.parent / "elsewhere.zip")
    assert list_data(moved) == first


def test_what_was_removed_from_the_cache_is_unpacked_again(
    write_folder: Callable[[Mapping[str, int]], Path],
) -> None:
    data = pack(write_folder({"cat": 5, "dog": 5}))
    manifest = read(data)
    (manifest.root / "cat" / "1.png").unlink()
    (manifest.root / "dog" / "1.png").write_bytes(b"")
    assert list_data(data).root == manifest.root
    verify_unchanged(manifest, 10**6, Silent())
    (kept,) = cache_folder("archives").iterdir()
    assert kept in manifest.root.parents
    shutil.rmtree(cache_folder("archives"))
    assert list_data(data).root == manifest.root
    verify_unchanged(manifest, 10**6, Silent())


def test_another_archive_under_the_same_name_is_another(
    write_folder: Callable[[Mapping[str, int]], Path], write_image: Callable[..., Path]
) -> None:
    root = write_folder({"cat": 2, "dog": 2})
    first = list_data(pack(root)).root
    write_image(root / "cat" / "0.png", seed=99)
    second = list_data(pack(root)).root
    assert first != second
    assert (second / "cat" / "0.png").read_bytes() == (root / "cat" / "0.png").read_bytes()


def test_what_changes_while_it_is_read_is_refused(
    write_folder: Callable[[Mapping[str, int]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pack(write_folder({"cat": 2, "dog": 2}))
    write = unpacking._write

    def growing(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        os.utime(data, (0, 0))

    monkeypatch.setattr(unpacking, "_write", growing)
    with pytest.raises(DataError, match="changed while it was read"):
        list_data(data)
    assert not any(cache_folder("archives").iterdir())


def test_evaluation_takes_archives_too(
    write_folder: Callable[[Mapping[str, int]], Path], told
) -> None:
    data = pack(write_folder({"test/cat": 3, "test/dog": 2}))
    manifest = read_labelled(data, ("cat", "dog"), 10**6, told)
    assert Counter(item.label for item in manifest.items) == {"cat": 3, "dog": 2}


def test_two_processes_at_once(write_folder: Callable[[Mapping[str, int]], Path]) -> None:
    data = pack(write_folder({"cat": 40, "dog": 40}))
    code = (
        "import sys; from pathlib import Path; from finetune.data.reading import list_data;"
        "listing = list_data(Path(sys.argv[1]));"
        "print(listing.root, all((listing.root / i.path).is_file() for i in listing.items))"
    )
    command = [sys.executable, "-c", code, str(data)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    (one,) = told
    assert one.strip().endswith("True")
    assert len(list(cache_folder("archives").iterdir())) == 1


def test_an_archive_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w"):
        pass
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "a.tar").chmod(0)
    with pytest.raises(DataError, match="can't be read: Permission denied"):
        list_data(tmp_path / "a.tar")
