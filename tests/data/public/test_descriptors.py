"""Every descriptor that is shipped is whole, and says what of it nobody has verified."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from finetune.cli.datasets import _row
from finetune.data.public.catalogue import card, catalogue, descriptor, load_descriptor
from finetune.data.public.descriptors import Descriptor
from finetune.data.public.layouts import BuiltIn, Folders, Patches
from finetune.data.public.placing import folder_name
from finetune.errors import DataError, FinetuneError

DATASETS = Path(__file__).parents[3] / "datasets"
PLANNED = {
    *("beans", "caltech101", "cub200", "digits", "dtd", "eurosat", "fgvc_aircraft", "food101"),
    *("hymenoptera", "oxford_flowers102", "oxford_pets", "patch_camelyon", "resisc45"),
    "stanford_cars",
}
every = pytest.mark.parametrize("each", catalogue(), ids=lambda each: each.name)


def test_the_planned_ones_are_there():
    assert {each.name for each in catalogue()} >= PLANNED
    assert [each.name for each in catalogue()] == sorted(each.name for each in catalogue())


@every
def test_it_is_called_as_its_file(each: Descriptor):
    assert descriptor(each.name) == each
    assert (DATASETS / f"{each.name}.yaml").is_file()


@every
def test_its_card_says_what_a_person_has_to_know(each: Descriptor):
    text = card(each.name)
    assert text.startswith(f"# {each.name}\n")
    assert f"{each.images:,}" in text
    for heading in ("Where they come from", "What they are good for", "Licence"):
        assert f"**{heading}.**" in text
    assert len(text.splitlines()) < 40
    assert max(map(len, text.splitlines())) <= 100


@every
def test_its_terms_and_its_makers_are_named(each: Descriptor):
    assert each.licence
    assert len(each.licence_note) > 10
    assert re.search(r"\b(19|20)\d\d\b", each.citation) or each.name == "hymenoptera"


@every
def test_its_numbers_agree(each: Descriptor):
    if isinstance(each.classes, dict):
        assert sum(each.classes.values()) == each.images
    if each.splits:
        assert sum(each.splits.values()) == each.images
    names = [folder_name(name) for name in each.class_names]
    assert len({name.casefold() for name in names}) == len(names)


@every
def test_what_nobody_here_has_seen_is_marked(each: Descriptor):
    """No host can be asked from the tests, so every address stands for a word of somebody else."""
    for file in each.files:
        present = {
            "addresses": bool(file.addresses),
            "bytes": file.length is not None,
            "digest": file.digest is not None,
        }
        assert {fact for fact, there in present.items() if there} == set(file.unverified)
        assert file.source
    if each.files and each.name != "hymenoptera":
        assert {"images", "classes"} <= set(each.unverified)


@every
def test_its_files_can_be_told_apart_and_what_has_no_address_is_explained(each: Descriptor):
    names = [file.name for file in each.files]
    assert len(set(names)) == len(names)
    assert bool(names) != isinstance(each.layout, BuiltIn)
    assert all(file.addresses for file in each.files) or each.by_hand


@every
def test_its_layout_names_its_parts(each: Descriptor):
    parts = set(getattr(each.layout, "parts", None) or getattr(each.layout, "images", None) or {})
    if isinstance(each.layout, Folders | Patches):
        assert parts == set(each.splits or {"all"})


@every
def test_the_table_of_the_folder_has_its_row(each: Descriptor):
    name, *cells = _row(each)
    table = (DATASETS / "README.md").read_text(encoding="utf-8")
    assert f"| [{name}]({name}.md) | {' | '.join(cells)} |" in table


def test_the_table_of_the_folder_has_no_other_row():
    table = (DATASETS / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[(\w+)\]", table, re.MULTILINE)) == {
        each.name for each in catalogue()
    }
    assert {path.stem for path in DATASETS.glob("*.md")} - {"README"} == {
        path.stem for path in DATASETS.glob("*.yaml")
    }


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(DataError, match="no data set 'hymenoptara'; the nearest is hymenoptera"):
        descriptor("hymenoptara")
    with pytest.raises(DataError, match=r"no data set '\.\./digits'"):
        card("../digits")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title:", "titel: x\ntitle:", "titel: Extra inputs are not permitted"),
        ("images: 397", "images: 398", "the classes come to 397, not 398"),
        ("train: 244", "train: 245", "the splits come to 398, not 397"),
        ("images: 397", 'images: "397"', "images: Input should be a valid integer"),
        ("kind: folders", "kind: foldres", "does not match any of the expected tags"),
        ("hymenoptera_data/train", "../train", "must be a path inside the archives"),
        ("hymenoptera_data/train", "/train", "must be a path inside the archives"),
        ("https://download", "file://download", "addresses.0: String should match"),
        ("[https://download.pytorch.org/tutorial/hymenoptera_data.zip]", "[]", "by_hand"),
        ("sha256: fbc4", "sha256: zbc4", "sha256: String should match"),
        ("{sha256: fbc4", "{md5: null, sha256: null, x: fbc4", "x: Extra inputs"),
        ("name: hymenoptera\n", "name: [\n", "can't be read as YAML"),
    ],
)
def test_a_fault_is_told_with_its_key(tmp_path, old, new, told):
    text = (DATASETS / "hymenoptera.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(FinetuneError, match=r"mine\.yaml") as fault:
        load_descriptor(tmp_path / "mine.yaml")
    assert told in str(fault.value)
