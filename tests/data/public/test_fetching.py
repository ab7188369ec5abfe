"""Made-up archives of the form of the real ones become folders that can be trained on."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from finetune.console import Silent
from finetune.data.public import fetching
from finetune.data.public.catalogue import descriptor
from finetune.data.public.downloading import Patience
from finetune.data.public.fetched import read_note
from finetune.data.public.fetching import fetch, unfinished
from finetune.data.public.obtaining import Obtaining
from finetune.data.reading import list_data
from finetune.errors import DataError

Contents = dict[str, bytes]
Placed = dict[tuple[str, str], int]
QUICK = Patience(failures=1, wait=0.0, longest=0.0, silence=1.0)


class Warnings(Silent):
    """Remembers what a person should look at."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, message: str) -> None:
        self.warned.append(message)


def picture(number: int = 0, form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, 90, 30)).save(file, form)
    return file.getvalue()


def images(*names: str) -> Contents:
    return {name: picture(number) for number, name in enumerate(names)}


def zipped(contents: Contents) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(contents: Contents) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def matrix(**arrays: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays)
    return file.getvalue()


def hdf5(**arrays: Any) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as archive:
        for name, values in arrays.items():
            archive[name] = values
    return gzip.compress(file.getvalue())


def hymenoptera() -> tuple[Contents, Placed]:
    root = "hymenoptera_data"
    names = [f"{root}/train/ants/1.jpg", f"{root}/train/ants/imageNotFound.gif",
             f"{root}/train/bees/2.jpg", f"{root}/val/ants/3.jpg", f"{root}/val/bees/4.jpg",
             f"__MACOSX/{root}/._1.jpg"]  # fmt: skip
    placed = {(part, label): 1 for part in ("train", "val") for label in ("ants", "bees")}
    return {"hymenoptera_data.zip": zipped(images(*names))}, placed


def beans() -> tuple[Contents, Placed]:
    archives, placed = {}, {}
    labels = descriptor("beans").class_names
    for part, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        archives[f"{name}.zip"] = zipped(images(*(f"{name}/{each}/1.jpg" for each in labels)))
        placed |= {(part, each): 1 for each in labels}
    return archives, placed


def in_one_folder(name: str, archive: str, root: str) -> tuple[Contents, Placed]:
    labels = descriptor(name).class_names
    contents = images(*(f"{root}/{each}/{each}_1.jpg" for each in labels))
    return {archive: zipped(contents)}, {("", each): 1 for each in labels}


def caltech101() -> tuple[Contents, Placed]:
    root = "101_ObjectCategories"
    inner = images(f"{root}/ant/1.jpg", f"{root}/bass/1.jpg", f"{root}/BACKGROUND_Google/1.jpg")
    outer = {f"caltech-101/{root}.tar.gz": tarred(inner), "caltech-101/show_annotation.m": b"%"}
    return {"caltech-101.zip": zipped(outer)}, {("", "ant"): 1, ("", "bass"): 1}


def oxford_pets() -> tuple[Contents, Placed]:
    listed = ["Abyssinian_100", "great_pyrenees_7"]
    pictures = images(*(f"images/{name}.jpg" for name in [*listed, "pug_1", "pug_2"]))
    lists = {
        "annotations/trainval.txt": text("#Image CLASS-ID", *(f"{n} 1 1 1" for n in listed)),
        "annotations/test.txt": text("pug_1 26 2 18"),
        "annotations/trimaps/pug_1.png": picture(form="PNG"),
    }
    placed = {("train", "Abyssinian"): 1, ("train", "great_pyrenees"): 1, ("test", "pug"): 1}
    return {"images.tar.gz": tarred(pictures), "annotations.tar.gz": tarred(lists)}, placed


def dtd() -> tuple[Contents, Placed]:
    contents: Contents = {}
    placed: Placed = {}
    for part in ("train", "val", "test"):
        name = f"polka-dotted/{part}.jpg"
        contents |= images(f"dtd/images/{name}") | {f"dtd/labels/{part}1.txt": text(name)}
        placed[(part, "polka-dotted")] = 1
    return {"dtd-r1.0.1.tar.gz": tarred(contents)}, placed


def food101() -> tuple[Contents, Placed]:
    contents = images("food-101/images/apple_pie/1.jpg", "food-101/images/apple_pie/2.jpg")
    contents |= {"food-101/meta/train.txt": text("apple_pie/1")}
    contents |= {"food-101/meta/test.txt": text("apple_pie/2")}
    placed = {("train", "apple_pie"): 1, ("test", "apple_pie"): 1}
    return {"food-101.tar.gz": tarred(contents)}, placed


def fgvc_aircraft() -> tuple[Contents, Placed]:
    data = "fgvc-aircraft-2013b/data"
    contents = images(*(f"{data}/images/000{n}.jpg" for n in range(3)))
    for number, (part, variant) in enumerate(
        (("train", "707-320"), ("val", "F-16A/B"), ("test", "Boeing 717"))
    ):
        contents[f"{data}/images_variant_{part}.txt"] = text(f"000{number} {variant}")
    placed = {("train", "707-320"): 1, ("val", "F-16A_B"): 1, ("test", "Boeing 717"): 1}
    return {"fgvc-aircraft-2013b.tar.gz": tarred(contents)}, placed


def cub200() -> tuple[Contents, Placed]:
    root, names = (
        "CUB_200_2011",
        ["001.Albatross/A_1.jpg", "001.Albatross/A_2.jpg", "002.Auk/B.jpg"],
    )
    contents = images(*(f"{root}/images/{name}" for name in names))
    contents[f"{root}/images.txt"] = text(*(f"{n} {name}" for n, name in enumerate(names, 1)))
    contents[f"{root}/train_test_split.txt"] = text("1 1", "2 0", "3 1")
    placed = {("train", "001.Albatross"): 1, ("test", "001.Albatross"): 1, ("train", "002.Auk"): 1}
    return {"CUB_200_2011.tgz": tarred(contents)}, placed


def oxford_flowers102() -> tuple[Contents, Placed]:
    pictures = images(*(f"jpg/image_0000{n}.jpg" for n in range(1, 5)))
    files = {
        "102flowers.tgz": tarred(pictures),
        "imagelabels.mat": matrix(labels=[[77, 1, 60, 77]]),
        "setid.mat": matrix(trnid=[[1, 3]], valid=[[2]], tstid=[[4]]),
    }
    placed = {
        ("train", "passion flower"): 1, ("train", "pink-yellow dahlia_"): 1,
        ("val", "pink primrose"): 1, ("test", "passion flower"): 1,
    }  # fmt: skip
    return files, placed


def stanford_cars() -> tuple[Contents, Placed]:
    form = [("fname", "O"), ("class", "O")]

    def rows(*pairs: tuple[str, int]) -> Any:
        return np.array([list(pairs)], dtype=form)

    names = np.array([["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012"]], object)
    kit = {
        "devkit/cars_meta.mat": matrix(class_names=names),
        "devkit/cars_train_annos.mat": matrix(annotations=rows(("00001.jpg", 2), ("00002.jpg", 1))),
    }
    files = {
        "cars_train.tgz": tarred(images("cars_train/00001.jpg", "cars_train/00002.jpg")),
        "cars_test.tgz": tarred(images("cars_test/00001.jpg")),
        "car_devkit.tgz": tarred(kit),
        "cars_test_annos_withlabels.mat": matrix(annotations=rows(("00001.jpg", 2))),
    }
    placed = {
        ("train", "Ram C_V Cargo Van Minivan 2012"): 1,
        ("train", "AM General Hummer SUV 2000"): 1,
        ("test", "Ram C_V Cargo Van Minivan 2012"): 1,
    }
    return files, placed


def patch_camelyon() -> tuple[Contents, Placed]:
    files: Contents = {}
    for part in ("train", "valid", "test"):
        stem = f"camelyonpatch_level_2_split_{part}"
        pixels = np.random.default_rng(3).integers(0, 256, (3, 6, 6, 3), np.uint8)
        files[f"{stem}_x.h5.gz"] = hdf5(x=pixels)
        files[f"{stem}_y.h5.gz"] = hdf5(y=np.array([0, 1, 0], np.uint8).reshape(3, 1, 1, 1))
    counts = {"normal": 2, "tumour": 1}
    return files, {(p, c): n for p in ("train", "val", "test") for c, n in counts.items()}


MADE_UP: dict[str, Callable[[], tuple[Contents, Placed]]] = {
    "eurosat": lambda: in_one_folder("eurosat", "EuroSAT.zip", "2750"),
    "resisc45": lambda: in_one_folder("resisc45", "NWPU-RESISC45.zip", "NWPU-RESISC45"),
    **{
        make.__name__: make
        for make in (
            hymenoptera, beans, caltech101, oxford_pets, dtd, food101, fgvc_aircraft, cub200,
            oxford_flowers102, stanford_cars, patch_camelyon,
        )
    },
}  # fmt: skip


@pytest.fixture
def fetched(tmp_path: Path) -> Callable[..., tuple[Path, list[str]]]:
    """Fetches from a folder of files that are not the real ones, which their digests would tell."""

    def run(name: str, files: Contents, origin: str = "", **changes: Any) -> tuple[Path, list[str]]:
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        real = descriptor(name)
        plain = tuple(
            each.model_copy(update={"digest": None, "length": None}) for each in real.files
        )
        about = real.model_copy(update={"files": plain, **changes})
        out, reporter = tmp_path / "out" / name, Warnings()
        gathering = unfinished(out)
        obtaining = Obtaining(about, gathering, reporter, origin or str(folder), patience=QUICK)
        fetch(about, out, obtaining)
        return out, [line for line in reporter.warned if "no digest is known" not in line]

    return run


def test_every_layout_is_tried():
    assert {*MADE_UP, "digits"} == {path.stem for path in _shipped()}


def _shipped() -> list[Path]:
    return list((Path(__file__).parents[3] / "datasets").glob("*.yaml"))


@pytest.mark.parametrize("name", MADE_UP)
def test_archives_become_a_folder_that_can_be_trained_on(fetched, name):
    files, placed = MADE_UP[name]()
    out, _ = fetched(name, files)
    listing = list_data(out, Silent())
    assert Counter((item.split, item.label) for item in listing.items) == placed
    for item in listing.items:
        with Image.open(out / item.path) as image:
            image.load()
    assert not listing.notes
    assert not listing.warnings
    assert [path.name for path in out.parent.iterdir()] == [name]
    assert len(list((out.parents[1] / "files").iterdir())) == len(files)


def test_the_patches_have_the_pixels_and_the_classes_of_their_arrays(fetched):
    files, _ = patch_camelyon()
    out, _ = fetched("patch_camelyon", files)
    pixels = np.random.default_rng(3).integers(0, 256, (3, 6, 6, 3), np.uint8)
    with Image.open(out / "val" / "tumour" / "val-000001.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[1])


def test_the_card_and_the_origin_lie_beside_the_images(fetched):
    out, _ = fetched("hymenoptera", hymenoptera()[0])
    note = read_note(out)
    assert note is not None
    assert (note.name, note.images, note.files[0].name) == (
        "hymenoptera",
        4,
        "hymenoptera_data.zip",
    )
    assert note.files[0].digest.startswith("sha256:")
    card = (out / "DATASET.md").read_text(encoding="utf-8")
    assert card.startswith("# hymenoptera\n")
    assert note.files[0].digest in card
    assert "**Terms.** none stated." in card
    assert "**Cite.** S. Chilamkurthy." in card
    assert "- 4 images, and not 397" in card


def test_where_the_counts_differ_it_is_told(fetched):
    _, warned = fetched("hymenoptera", hymenoptera()[0])
    assert warned == [
        "not as the card says, whose counts are verified:\n4 images, and not 397\n"
        "train: 2 images, and not 244\nval: 2 images, and not 153\n"
        "ants: 2 images, and not 193\nbees: 2 images, and not 204"
    ]
    _, warned = fetched("eurosat", {"EuroSAT.zip": zipped(images("2750/Sea/1.jpg"))})
    assert "1 class, and not 10" in warned[0]
    assert "with classes that the card has not: Sea" in warned[0]


def test_where_the_counts_are_those_of_the_card_nothing_is_told(fetched):
    splits = {"train": 2, "val": 2}
    changes = {"images": 4, "splits": splits, "classes": {"ants": 2, "bees": 2}}
    assert fetched("hymenoptera", hymenoptera()[0], **changes)[1] == []


def test_images_that_the_lists_name_and_nobody_has_are_told(fetched):
    contents = images("dtd/images/banded/1.jpg") | {
        "dtd/labels/train1.txt": text("banded/1.jpg", "banded/2.jpg"),
        "dtd/labels/val1.txt": text("banded/3.jpg"),
        "dtd/labels/test1.txt": b"",
    }
    out, warned = fetched("dtd", {"dtd-r1.0.1.tar.gz": tarred(contents)})
    assert warned[0] == (
        "2 images that the lists name are not there, or were named before: 2.jpg, 3.jpg"
    )
    assert [path.name for path in (out / "train" / "banded").iterdir()] == ["1.jpg"]


ANTS = "hymenoptera_data/train/ants"
AIRCRAFT = "fgvc-aircraft-2013b/data"
PATCHES = "camelyonpatch_level_2_split_test_x.h5.gz"


def only(archive: str, contents: Contents) -> Contents:
    return {archive: zipped(contents) if archive.endswith(".zip") else tarred(contents)}


def lists(trainval: bytes) -> Contents:
    contents = {"annotations/test.txt": b"", "annotations/trainval.txt": trainval}
    return only("annotations.tar.gz", contents)


def two_variants_of_one_folder() -> Contents:
    contents = images(f"{AIRCRAFT}/images/1.jpg", f"{AIRCRAFT}/images/2.jpg")
    for part in ("train", "val", "test"):
        contents[f"{AIRCRAFT}/images_variant_{part}.txt"] = text("1 F/A", "2 F:A")
    return only("fgvc-aircraft-2013b.tar.gz", contents)


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        ("hymenoptera", only("hymenoptera_data.zip", images("a/1.jpg")), "there is no hymenoptera"),
        ("hymenoptera", {"hymenoptera_data.zip": b"PK no zip at all"}, "hymenoptera_data.zip"),
        ("hymenoptera", only("hymenoptera_data.zip", images("../1.jpg")), "has .. in its path"),
        (
            "beans",
            only("test.zip", images("train/healthy/1.jpg")),
            "falls on the same file as another",
        ),
        ("eurosat", only("EuroSAT.zip", {"2750/Sea/a.txt": b""}), "there was no image in it"),
        ("caltech101", only("caltech-101.zip", {"a.txt": b""}), "there is no caltech-101/101_Obj"),
        ("oxford_pets", only("annotations.tar.gz", {}), "there is no annotations/trainval.txt"),
        ("oxford_pets", lists(text("../../a 1")), "which is no file in the archive"),
        ("oxford_pets", lists(b"\xff"), "is no UTF-8 text"),
        ("oxford_pets", lists(text("nameless 1")), "a class has an empty name"),
        ("oxford_flowers102", {"setid.mat": matrix(trnid=[[9]])}, "has no class for image 9"),
        ("oxford_flowers102", {"setid.mat": matrix(other=[[9]])}, "has no matrix trnid"),
        ("oxford_flowers102", {"imagelabels.mat": b"MATLAB no"}, "can't be read as MATLAB's"),
        ("oxford_flowers102", {"imagelabels.mat": matrix(labels=[[103]])}, "no class for image 1"),
        (
            "stanford_cars",
            {"cars_test_annos_withlabels.mat": matrix(annotations=[[1, 2]])},
            "has no fname and class",
        ),
        ("patch_camelyon", {PATCHES: hdf5(x=np.zeros((2, 6, 6)))}, "holds float64 [2, 6, 6]"),
        ("patch_camelyon", {PATCHES: hdf5(z=np.zeros(2))}, "has no array x of its own"),
        ("patch_camelyon", {PATCHES: gzip.compress(b"no")}, "can't be read as HDF5"),
        ("patch_camelyon", {PATCHES: b"\x1f\x8b no"}, "is damaged"),
        ("patch_camelyon", {PATCHES: hdf5(x=np.zeros(2))[:-20]}, "is damaged"),
        ("fgvc_aircraft", two_variants_of_one_folder(), "would fall on one folder"),
    ],
)
def test_what_is_of_another_form_is_told_and_leaves_no_half_of_a_folder(
    fetched, tmp_path, name, spoil, told
):
    files = MADE_UP[name]()[0] | spoil
    with pytest.raises(DataError) as fault:
        fetched(name, files)
    assert told in str(fault.value)
    assert not (tmp_path / "out" / name).exists()
    out, _ = fetched(name, MADE_UP[name]()[0])
    assert out.is_dir()
    assert not unfinished(out).exists()


def test_arrays_that_point_to_other_files_are_not_read(fetched, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros((1, 6, 6, 3), np.uint8)
    file = io.BytesIO()
    with h5py.File(file, "w") as archive:
        archive["x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
    files = patch_camelyon()[0]
    files["camelyonpatch_level_2_split_test_x.h5.gz"] = gzip.compress(file.getvalue())
    with pytest.raises(DataError, match="has no array x of its own"):
        fetched("patch_camelyon", files)


def test_without_h5py_it_is_told_how_to_have_it_before_anything_is_fetched(fetched, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(DataError) as fault:
        fetched("patch_camelyon", {})
    assert "pip install 'finetune-vision[h5]'" in fault.value.mend


def test_a_file_that_unpacks_to_too_much_is_left(fetched, monkeypatch):
    monkeypatch.setattr(fetching, "MOST_UNPACKED", 100)
    with pytest.raises(DataError, match="unpacks to too much"):
        fetched("patch_camelyon", patch_camelyon()[0])


@pytest.mark.parametrize("content", ["1.jpg", ".hidden"])
def test_a_folder_in_use_is_refused(fetched, tmp_path, content):
    out = tmp_path / "out" / "hymenoptera"
    out.mkdir(parents=True)
    (out / content).write_bytes(b"mine")
    with pytest.raises(DataError, match="is in use; nothing in it was changed"):
        fetched("hymenoptera", hymenoptera()[0])
    assert [path.name for path in out.iterdir()] == [content]


def test_an_empty_folder_is_taken_and_a_fetched_one_is_told(fetched, tmp_path):
    (tmp_path / "out" / "hymenoptera").mkdir(parents=True)
    fetched("hymenoptera", hymenoptera()[0])
    with pytest.raises(DataError, match="holds hymenoptera already, fetched on 2"):
        fetched("hymenoptera", hymenoptera()[0])


def test_a_fetch_that_broke_off_goes_on_with_what_it_has(host, send, fetched, tmp_path):
    content = hymenoptera()[0]["hymenoptera_data.zip"]
    tags = {"ETag": '"1"'}
    host.give("/hymenoptera_data.zip", send(content, sent=500, **tags), send(content, **tags))
    with pytest.raises(DataError, match="broke off at 500 of"):
        fetched("hymenoptera", {}, host.address)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".hymenoptera.unfinished"]
    out, _ = fetched("hymenoptera", {}, host.address)
    assert host.ranges() == ["", "bytes=500-"]
    assert [path.name for path in out.parent.iterdir()] == ["hymenoptera"]


def test_an_interrupt_while_laying_out_goes_on_without_a_download(host, send, fetched, monkeypatch):
    host.give("/hymenoptera_data.zip", send(hymenoptera()[0]["hymenoptera_data.zip"]))

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "arrange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetched("hymenoptera", {}, host.address)
    monkeypatch.undo()
    fetched("hymenoptera", {}, host.address)
    assert len(host.asked) == 1


def test_two_at_once_are_refused(fetched, tmp_path):
    from finetune.locking import locked

    work = unfinished(tmp_path / "out" / "hymenoptera")
    work.mkdir(parents=True)
    with locked(work / "lock"), pytest.raises(DataError, match="at work in it"):
        fetched("hymenoptera", hymenoptera()[0])


def test_a_disk_without_room_is_told_before_anything_is_fetched(tmp_path, monkeypatch, told):
    real = descriptor("food101")
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2**30}))
    with pytest.raises(
        DataError, match=r"4\.7 GiB have to be downloaded, and the disk has 1\.0 GiB"
    ):
        fetch(real, tmp_path / "food", Obtaining(real, tmp_path, told, "http://127.0.0.1:9"))


def test_a_damaged_note_is_told(fetched):
    out, _ = fetched("hymenoptera", hymenoptera()[0])
    (out / ".dataset.json").write_text(json.dumps({"name": "x"}), encoding="utf-8")
    with pytest.raises(DataError, match="can't be read"):
        read_note(out)
