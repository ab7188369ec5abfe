"""Bad and odd files of every kind: each is named with its reason, none stops a run."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import finetune
from finetune.console import Silent
from finetune.data.files.decoding import UnreadableImage, decode
from finetune.data.files.hygiene import Looked, check_files
from finetune.data.files.oddities import oddities
from finetune.data.manifest import Item, Manifest, read_manifest
from finetune.data.reading import read_data
from finetune.data.sources.indexing import list_folder
from finetune.inspection.checking import check_data
from finetune.recipe.schema import DataOptions
from tests.data.corpus.everything import all_kinds
from tests.data.corpus.kinds import LIMIT, Kind, photo
from tests.data.corpus.places import PLACES, READABLE, UNLISTED, Place, write_places

KINDS = all_kinds()
OPTIONS = DataOptions(max_pixels=LIMIT)
TINY = [
    "data.workers=0",
    "precision=float32",
    "model.backbone=test_resnet",
    "input.size=48",
    f"data.max_pixels={LIMIT}",
]
CHECKED_WHEN_LOOKED_AT = "^damaged: the checksum"
"""A training's decoder passes over it; the look before it does not."""


@dataclass(frozen=True)
class Corpus:
    """DATA with two good classes, and one that holds every kind beside good images.

    Attributes:
        root: DATA.
        places: What lies there beside the kinds.
    """

    root: Path
    places: list[Place]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, write_photos: Callable[..., Path]) -> Corpus:
    root = write_photos(tmp_path_factory.mktemp("corpus") / "data", {"red": 24, "green": 24})
    for kind in KINDS:
        kind.write(root / "red")
    return Corpus(root, write_places(root / "red"))


@pytest.fixture(scope="module")
def looked(corpus: Corpus) -> Looked:
    items = [Item(f"red/{kind.name}", "red") for kind in KINDS]
    return check_files(corpus.root, items, LIMIT, Silent())


@pytest.fixture(scope="module")
def places(corpus: Corpus) -> dict[str, Item]:
    listing = list_folder(corpus.root)
    checked = check_files(corpus.root, listing.items, LIMIT, Silent())
    return {item.path: item for item in checked.items}


def snapshot(root: Path) -> dict[str, tuple[object, ...]]:
    """All that may not change: names, kinds, modes, sizes, times of change, contents."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        small = path.is_file() and state.st_size < 2**24
        content = hashlib.sha256(path.read_bytes()).hexdigest() if small else ""
        target = str(path.readlink()) if path.is_symlink() else ""
        times = state.st_mtime_ns, state.st_ctime_ns
        found[str(path)] = (state.st_mode, state.st_size, *times, state.st_ino, content, target)
    return found


def test_there_are_many_kinds() -> None:
    assert len(KINDS) + len(PLACES) > 200


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_is_what_it_is_known_to_be(kind: Kind, looked: Looked) -> None:
    (item,) = (item for item in looked.items if item.path == f"red/{kind.name}")
    if kind.reason is None:
        assert (item.status, item.reason) == ("ok", "")
        assert {word for word, _ in oddities(looked.looks[item.path])} == kind.odd
    else:
        assert item.status == "bad"
        assert re.search(kind.reason, item.reason), item.reason
        assert len(item.reason) < 200
        assert item.reason.isprintable()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_training_reads_what_the_look_could(kind: Kind, corpus: Corpus) -> None:
    file = corpus.root / "red" / kind.name
    if kind.reason in (None, CHECKED_WHEN_LOOKED_AT):
        assert decode(file, LIMIT).ndim == 3
        return
    with pytest.raises(UnreadableImage) as caught:
        decode(file, LIMIT)
    assert re.search(kind.reason, caught.value.reason)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ascii(place.name)[:40])
def test_each_place_is_what_it_is_known_to_be(place: Place, places: dict[str, Item]) -> None:
    item = places.get(f"red/{place.name}")
    if place.reason is UNLISTED:
        assert item is None
    else:
        assert item is not None
        assert item.reason == place.reason
        assert item.status == ("ok" if place.reason == READABLE else "bad")


def test_the_order_and_the_number_of_threads_change_nothing(
    corpus: Corpus, looked: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.data.files.hygiene.usable_cores", lambda: 8)
    items = [Item(f"red/{kind.name}", "red") for kind in reversed(KINDS)]
    again = check_files(corpus.root, items, LIMIT, Silent(), afresh=True)
    assert again.items == looked.items[::-1]
    assert again.looks == looked.looks


def _expected_bad(corpus: Corpus) -> set[str]:
    bad = {f"red/{kind.name}" for kind in KINDS if kind.reason is not None}
    return bad | {f"red/{place.name}" for place in corpus.places if place.reason}


def _check(manifest: Manifest, corpus: Corpus) -> None:
    bad = {item.path for item in manifest.items if item.status == "bad"}
    assert bad == _expected_bad(corpus)
    assert all(item.reason for item in manifest.items if item.status == "bad")
    assert all(item.split for item in manifest.items if item.status == "ok")


def test_reading_names_them_and_touches_nothing(corpus: Corpus, told, tmp_path: Path) -> None:
    before = snapshot(corpus.root)
    told.task = Silent().task
    manifest = read_data(corpus.root, OPTIONS, 1, told)
    _check(manifest, corpus)
    (warning,) = (text for text in told.warned if "can't be read, set aside" in text)
    assert warning.startswith(f"{len(_expected_bad(corpus))} files of {len(manifest.items)} ")
    assert warning.count("\n") == 9
    assert any("1 .heic" in text for text in told.warned)
    assert any(".txt" in text and ".part" in text for text in told.said)
    manifest.write_csv(tmp_path / "data.csv")
    assert read_manifest(tmp_path / "data.csv", corpus.root) == manifest
    assert snapshot(corpus.root) == before


def test_a_check_finds_them_and_touches_nothing(corpus: Corpus) -> None:
    before = snapshot(corpus.root)
    findings = check_data(corpus.root, OPTIONS, 1, Silent())
    told = findings.to_dict()
    assert {each["path"] for each in told["bad"]} == _expected_bad(corpus)
    odd = {(each["path"], each["kind"]) for each in told["problems"]}
    for kind in KINDS:
        assert {word for path, word in odd if path == f"red/{kind.name}"} == kind.odd
    assert snapshot(corpus.root) == before


def test_a_training_ends_and_touches_nothing(corpus: Corpus, tmp_path: Path) -> None:
    before = snapshot(corpus.root)
    run = finetune.train(
        corpus.root,
        "linear_probe",
        overrides=TINY,
        weights="none",
        out=tmp_path / "run",
        reporter=Silent(),
    )
    _check(read_manifest(run.path / "data.csv", corpus.root), corpus)
    assert run.metrics["n"] > 10
    assert snapshot(corpus.root) == before


def test_classes_of_any_name_are_learnt(tmp_path: Path) -> None:
    names = [os.fsdecode(b"caf\xe9"), "two\nlines", "=1+1 ", "\N{GRINNING FACE}"]
    for name in names:
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(8):
            picture = photo(size=(48, 48), seed=len(name) * 100 + number)
            picture.save(tmp_path / "data" / name / os.fsdecode(b"%d\xe9.png" % number))
    run = finetune.train(
        tmp_path / "data", "linear_probe", overrides=TINY, weights="none", out=tmp_path / "run",
        reporter=Silent(),
    )  # fmt: skip
    assert run.metrics["classes"] == sorted(names)
    files = sorted((tmp_path / "data" / names[0]).iterdir())
    frame = run.predict(files, reporter=Silent())
    assert list(frame["path"]) == [str(file) for file in files]
    assert set(frame["predicted"]) <= set(names)
    assert frame[f"p:{names[0]}"].dtype == float


LIBTIFF = r"\w+Decode: |tempfile\.tif: "

_PROGRAM = """
import resource, sys
from pathlib import Path
from finetune.console import Silent
from finetune.data.files.hygiene import check_files
from finetune.data.manifest import Item

def look(names):
    check_files(Path(sys.argv[1]), [Item(name, "x") for name in names], 10**6, Silent())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

names = sys.stdin.read().split("/")
print(look(["good.jpg"]), look(names))
"""


def _look_in_another_process(folder: Path, names: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM, str(folder)],
        input="/".join(names),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(finetune.__file__).parents[1])},
    )


def test_nothing_fills_the_memory_and_nothing_shows_on_the_terminal(tmp_path: Path) -> None:
    photo(size=(1_000, 1_000)).save(tmp_path / "good.jpg")
    for kind in KINDS:
        kind.write(tmp_path)
    ended = _look_in_another_process(tmp_path, [kind.name for kind in KINDS])
    before, after = map(int, ended.stdout.split())
    assert after - before < 100  # MiB
    # libtiff's decoders have a word for damaged data, which goes there from C.
    lines = [line for line in ended.stderr.splitlines() if not re.match(LIBTIFF, line)]
    assert lines == []


def test_a_file_that_vanishes_is_named(tmp_path: Path, told) -> None:
    for name in ("here", "gone"):
        (tmp_path / name).mkdir()
        photo().save(tmp_path / name / "1.png")
    listing = list_folder(tmp_path)
    (tmp_path / "gone" / "1.png").unlink()
    reasons = {i.path: i.reason for i in check_files(tmp_path, listing.items, LIMIT, told).items}
    assert reasons == {"here/1.png": "", "gone/1.png": "no such file"}


def test_a_file_that_changes_while_it_is_read_is_named(
    tmp_path: Path, told, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.data.files import looking

    photo().save(tmp_path / "a.png")
    statistics = looking._statistics

    def meanwhile(picture):
        with (tmp_path / "a.png").open("ab") as file:
            file.write(b"more")
        return statistics(picture)

    monkeypatch.setattr(looking, "_statistics", meanwhile)
    (item,) = check_files(tmp_path, [Item("a.png", "x")], LIMIT, told).items
    assert (item.status, item.reason) == ("bad", "changed while it was read")
