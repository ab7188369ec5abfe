from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from finetune.cli.app import app
from finetune.data.public.catalogue import catalogue
from finetune.data.public.descriptors import Descriptor
from finetune.errors import DataError

every = pytest.mark.parametrize("each", catalogue(), ids=lambda each: each.name)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder with an archive under the name of the real one."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    with zipfile.ZipFile(folder / "hymenoptera_data.zip", "w") as archive:
        for part in ("train", "val"):
            for label in ("ants", "bees"):
                archive.write(tmp_path / "one.png", f"hymenoptera_data/{part}/{label}/1.png")
    return folder


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["datasets", *arguments])


def done(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> DataError:
    error = call(*arguments).exception
    assert isinstance(error, DataError)
    return error


def test_list_names_every_data_set_within_80_columns():
    told = done("list")
    lines = told.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in told
    for each in catalogue():
        (row,) = [line for line in lines if line.startswith(f" {each.name} ")]
        assert each.what in row
        assert f" {each.images:,} " in row
        assert row.rstrip().endswith(each.licence)


@every
def test_show_tells_all(each: Descriptor):
    told = done("show", each.name)
    plain = " ".join(told.split())
    assert told.startswith(f"# {each.name}\n")
    for text in (each.title, each.citation, each.licence_note, each.homepage, each.source):
        assert " ".join(text.split()) in plain
    for file in each.files:
        assert file.name in told
        assert all(address in told for address in file.addresses)
        assert str(file.digest or "no digest is known") in told
    marks = sum(len(file.addresses or [None]) + 2 for file in each.files)
    assert bool(marks) <= told.count("(unverified)")
    assert f"finetune datasets fetch {each.name}" in told


def test_show_marks_what_is_unverified():
    told = done("show", "eurosat")
    assert "EuroSAT.zip, 94,280,567 bytes (unverified)" in told
    assert "md5:c8fa014336c82ac7804f0398fcb19387 (unverified)" in told
    assert (
        "torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip (unv" in told
    )
    assert "images    27,000 (unverified)" in told
    assert "licence   MIT. As its" in told


def test_fetch_writes_the_digits_without_a_network():
    told = done("fetch", "digits")
    assert "1,797 images in 10 classes, as the card says." in told
    assert "finetune train digits" in told
    assert len(list(Path("digits").rglob("*.png"))) == 1797
    assert "holds digits already" in str(refused("fetch", "digits"))


def test_fetch_takes_a_file_of_another_digest_only_when_it_is_accepted(mirror):
    error = refused("fetch", "hymenoptera", "--from", str(mirror), "--out", "ants")
    digest = error.mend.rpartition(" ")[2]
    assert not Path("ants").exists()
    told = done("fetch", "hymenoptera", "--from", str(mirror), "-o", "ants", "--accept", digest)
    assert "4 images, and not 397" in told
    assert Path("ants/train/bees/1.png").is_file()


def test_sample_fetches_what_is_not_there_and_takes_some_of_it():
    assert "30 images of digits: digits-sample" in done("sample", "digits", "--per-class", "3")
    assert Path("digits").is_dir()
    first = sorted(path.name for path in Path("digits-sample").rglob("*.png"))
    done("sample", "digits", "--per-class", "3", "--out", "again", "--from", "digits")
    assert sorted(path.name for path in Path("again").rglob("*.png")) == first


def test_sample_does_not_fetch_for_a_folder_that_is_in_use(tmp_path):
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "mine").touch()
    assert "is in use" in str(refused("sample", "digits", "--out", "few"))
    assert not Path("digits").exists()


def test_what_has_to_be_got_by_hand_is_told_with_the_command_to_go_on():
    error = refused("fetch", "stanford_cars")
    assert "cars_train.tgz" in error.found
    assert "https://github.com/pytorch/vision/issues/7545" in error.mend
    assert "finetune datasets fetch stanford_cars --from FOLDER" in error.mend
    assert list(Path().iterdir()) == []


def test_an_unknown_name_is_told():
    for command in ("show", "fetch", "sample"):
        assert "the nearest is eurosat" in str(refused(command, "eurosats"))


def test_an_interrupt_tells_how_to_go_on(mirror, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("finetune.data.public.fetching.arrange", interrupted)
    result = call("fetch", "digits")
    assert result.exit_code == 130
    assert "kept in .digits.unfinished; the same command goes on with it." in result.output
