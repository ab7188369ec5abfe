from __future__ import annotations

import os
import re

import pytest

from finetune.data.parts.matching import found_in, matches


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        (r"p(\d+)", "cat/p12-3.jpg", "12"),
        (r"p\d+", "cat/p12-3.jpg", "p12"),
        (r"p(\d+)-(\d)", "cat/p12-3.jpg", "12/3"),
        (r"p(\d+)(x)?", "cat/p12-3.jpg", "12"),
        (r"(x)?p", "cat/p12-3.jpg", ""),
        (r"x*", "cat/p12-3.jpg", ""),
        (r"^[^/]+", "cat/p12-3.jpg", "cat"),
        (r"q", "cat/p12-3.jpg", ""),
    ],
)
def test_what_is_captured_or_the_whole_match(pattern, path, found):
    assert found_in(path, re.compile(pattern)) == found
    assert matches(pattern, [path, "none"]) == [found, found_in("none", re.compile(pattern))]


def test_names_of_all_kinds_go_through():
    paths = ["a\nb.png", "\x1b[31m.png", os.fsdecode(b"\xff\xfe.png"), "ä\u202e.png", '"\\.png']
    assert matches(r"^[\s\S]*(?=\.png)", paths) == [path.removesuffix(".png") for path in paths]
    assert matches("x", []) == []


def test_a_pattern_that_would_not_end_is_ended():
    with pytest.raises(TimeoutError):
        matches("(a+)+$", ["a" * 60 + "b"], seconds=0.5)
