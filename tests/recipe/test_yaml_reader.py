from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from finetune.errors import RecipeError
from finetune.recipe.yaml_reader import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, read_file, read_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("1e-3", 1e-3),
        ("3.0e-4", 3e-4),
        ("-1E+2", -100.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("007", 7),
        ("+3", 3),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("'5'", "5"),
        ("<<", "<<"),
    ],
)
def test_plain_values_follow_yaml_1_2(text: str, value: object) -> None:
    read = read_text(text, "x").plain()
    assert read == value
    assert type(read) is type(value)


def test_values_remember_their_lines() -> None:
    node = read_text("a: 1\nb:\n  c: [1,\n    2]\n  d: x\n", "r.yaml")
    assert str(node.at(("a",)).origin) == "r.yaml:1"
    assert str(node.at(("b",)).origin) == "r.yaml:2"
    assert str(node.at(("b", "c", 1)).origin) == "r.yaml:4"
    assert str(node.at(("b", "d")).origin) == "r.yaml:5"
    assert str(node.at(("b", "absent", "deeper")).origin) == "r.yaml:2"


def test_duplicate_keys_are_told_with_both_lines() -> None:
    with pytest.raises(RecipeError) as error:
        read_text("a: 1\nb: {c: 1, c: 2}\na: 3\n", "r.yaml")
    assert error.value.found.split("\n") == [
        "r.yaml:2: b.c: stands here a second time (first on line 2); drop one",
        "r.yaml:3: a: stands here a second time (first on line 1); drop one",
    ]


@pytest.mark.parametrize("key", ["1", "true", "null", "1.5", "[a, b]", "{a: 1}"])
def test_keys_must_be_text(key: str) -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml:2: a key must be text"):
        read_text(f"a: 1\n? {key}\n: 2\n", "r.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "!!binary aGVsbG8=",
        "!!set {a, b}",
        "!custom 5",
        "!!int abc",
        "!!str 5",
    ],
)
def test_tags_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml:2: a: the tag .* is refused"):
        read_text(f"b: 1\na: {text}\n", "r.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1, 2\nb: 3\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: *nowhere\n", 1),
        ("a: 1\nb: \x07\n", 2),
        ("a: 1\nb: c: d\n", 2),
    ],
)
def test_broken_yaml_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(RecipeError, match=rf"^r\.yaml:{line}: can't be read as YAML: \S"):
        read_text(text, "r.yaml")


def test_a_value_is_shared_by_an_alias() -> None:
    node = read_text("a: &x {lr: 1}\nb: *x\n", "r.yaml")
    assert node.plain() == {"a": {"lr": 1}, "b": {"lr": 1}}


def test_a_few_aliases_that_grow_without_bound_are_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]" for i in range(1, 9)]
    began = time.monotonic()
    with pytest.raises(RecipeError, match=r"more than 20,000 values by its aliases"):
        read_text("\n".join(lines), "r.yaml")
    assert time.monotonic() - began < 5


def test_too_many_aliases_are_refused() -> None:
    text = "a: &x 1\nb: [" + ", ".join(["*x"] * (MAX_ALIASES + 1)) + "]\n"
    with pytest.raises(RecipeError, match=rf"more than {MAX_ALIASES} aliases"):
        read_text(text, "r.yaml")


def test_an_alias_within_itself_is_refused() -> None:
    with pytest.raises(RecipeError, match="nested more than"):
        read_text("a: &x [*x]\n", "r.yaml")


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_depth_is_limited(depth: int) -> None:
    with pytest.raises(RecipeError, match=rf"nested more than {MAX_DEPTH} deep"):
        read_text("[" * depth + "]" * depth, "r.yaml")
    assert read_text("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), "r.yaml").plain() is not None


def test_a_number_too_long_to_read_is_told() -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml:1: a: can't be read as a number"):
        read_text(f"a: {'9' * 5000}\n", "r.yaml")


def test_files_are_limited_in_size(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("a: 1\n" + "#" * MAX_BYTES)
    with pytest.raises(RecipeError, match=r"r\.yaml: is larger than 256 KiB"):
        read_file(file, "r.yaml")


def test_a_file_of_another_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes("name: é".encode("utf-16"))
    with pytest.raises(RecipeError, match=r"r\.yaml: is no UTF-8 text\n.*saved as UTF-8"):
        read_file(file, "r.yaml")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(b"\xef\xbb\xbfname: x\r\nseed: 1\r\n")
    assert read_file(file, "r.yaml").plain() == {"name": "x", "seed": 1}


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "just text\n"])
def test_a_file_must_hold_a_mapping(tmp_path: Path, text: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=r"r\.yaml:1: a recipe is a mapping of keys to values"):
        read_file(file, "r.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("a: 1")
    file.chmod(0)
    with pytest.raises(RecipeError, match="can't be read"):
        read_file(file, "r.yaml")


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml: can't be read \(Is a directory\)"):
        read_file(tmp_path, "r.yaml")
