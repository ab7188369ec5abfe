from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.text import duration, from_cell, listed, plural, printable, to_cell

NAMES = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)


@given(NAMES)
def test_a_cell_gives_its_name_back(name: str) -> None:
    assert from_cell(to_cell(name)) == name


@given(NAMES)
def test_a_cell_is_harmless_utf8_text(name: str) -> None:
    cell = to_cell(name)
    cell.encode("utf-8")
    assert not any(ord(character) < 32 or ord(character) == 127 for character in cell)
    assert next(csv.reader(io.StringIO(f'"{cell.replace(chr(34), chr(34) * 2)}"'))) == [cell]


@given(NAMES)
def test_what_is_printable_has_nothing_a_terminal_obeys(name: str) -> None:
    shown = printable(name)
    shown.encode("utf-8")
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u202e" for c in shown)


@pytest.mark.parametrize("start", ["=1+1", "+x", "-x", "@x", "'x"])
def test_a_formula_is_disarmed(start: str) -> None:
    assert to_cell(start) == f"'{start}"


def test_a_negative_number_stays_a_number() -> None:
    assert to_cell("-1") == "-1"
    assert from_cell("-1") == "-1"


def test_bytes_that_are_no_text_are_written_as_such() -> None:
    assert to_cell("caf\udce9.jpg") == r"caf\xe9.jpg"
    assert to_cell("café.jpg") == "café.jpg"


def test_words_for_numbers() -> None:
    assert plural(1, "image") == "1 image"
    assert plural(1200, "image") == "1,200 images"
    assert plural(2, "class", "classes") == "2 classes"
    assert listed(["a", "b\n"], 1) == "a and 1 more"
    assert duration(0.2) == "1 s"
    assert duration(150) == "2 min"
    assert duration(2 * 3600) == "2 h 00 min"
