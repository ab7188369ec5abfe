from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from finetune.data.files import oddities as limits
from finetune.data.files.looking import Look, look_at
from finetune.data.files.oddities import oddities
from tests.data.corpus.kinds import LIMIT, photo

USUAL = Look(
    digest="0" * 64,
    size=1_000,
    format="JPEG",
    mode="RGB",
    width=400,
    height=300,
    animated=False,
    quality=90,
    taken="",
    camera="",
    dark=20.0,
    bright=240.0,
    spread=50.0,
    sharpness=0.7,
    fingerprint=b"",
)


def words(look: Look) -> list[str]:
    return [word for word, _ in oddities(look)]


def test_a_usual_picture_has_none() -> None:
    assert words(USUAL) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"width": 31}, ["tiny", "shape"]),
        ({"width": 32, "height": 32}, []),
        ({"width": 32, "height": 128}, []),
        ({"width": 100, "height": 401}, ["shape"]),
        ({"spread": 1.9}, ["blank"]),
        ({"spread": 1.9, "bright": 3.0, "dark": 0.0, "sharpness": 0.0}, ["blank"]),
        ({"bright": 29.0, "sharpness": 0.0}, ["dark"]),
        ({"bright": 30.0}, []),
        ({"dark": 226.0, "sharpness": 0.0}, ["bright"]),
        ({"sharpness": 0.09}, ["blurred"]),
        ({"sharpness": 0.0, "width": 20, "height": 20}, ["tiny"]),
        ({"mode": "L"}, []),
        ({"mode": "CMYK"}, ["mode"]),
        ({"animated": True}, ["animated"]),
    ],
)
def test_each_limit(changed: dict[str, object], expected: list[str]) -> None:
    assert words(replace(USUAL, **changed)) == expected


def test_what_was_seen_is_told() -> None:
    told = dict(oddities(replace(USUAL, width=10, height=100, bright=12.3, mode="I;16B")))
    assert told["tiny"] == "10 x 100 pixels"
    assert told["shape"] == "10 x 100 pixels, 10 to 1"
    assert told["dark"] == "95 % of it is darker than 12 of 255"
    assert told["mode"] == "16-bit grey"
    assert dict(oddities(replace(USUAL, mode="XYZ"))) == {"mode": "colour mode XYZ"}


def _levels() -> st.SearchStrategy[float]:
    return st.floats(0, 255)


@given(st.integers(1, 10**5), st.integers(1, 10**5), _levels(), _levels(), _levels(), _levels())
def test_each_kind_is_told_once_and_one_of_the_light(width, height, dark, bright, spread, sharp):
    look = replace(
        USUAL, width=width, height=height, dark=dark, bright=bright, spread=spread, sharpness=sharp
    )
    found = words(look)
    assert len(set(found)) == len(found)
    assert len(set(found) & {"blank", "dark", "bright", "blurred"}) <= 1


def _blurred(tmp_path: Path, share: float) -> Iterator[bool]:
    for seed in range(4):
        picture = photo(size=(320, 240), seed=seed)
        picture.filter(ImageFilter.GaussianBlur(share * 240)).save(tmp_path / "a.jpg")
        yield "blurred" in words(look_at(tmp_path / "a.jpg", LIMIT))


def test_blur_is_told_from_sharpness(tmp_path: Path) -> None:
    assert not any(_blurred(tmp_path, 0.0))
    assert all(_blurred(tmp_path, 0.04))


def test_exposure_of_rendered_pictures(tmp_path: Path) -> None:
    for scale, offset, expected in ((0.1, 0, ["dark"]), (0.1, 230, ["bright"]), (1.0, 0, [])):
        picture = photo().point(lambda v, s=scale, o=offset: round(v * s + o))
        picture.save(tmp_path / "a.png")
        assert words(look_at(tmp_path / "a.png", LIMIT)) == expected


def test_compression_of_one_colour_is_no_variation(tmp_path: Path) -> None:
    for quality in (5, 30, 75, 95):
        Image.new("RGB", (200, 150), (180, 177, 169)).save(tmp_path / "a.jpg", quality=quality)
        assert words(look_at(tmp_path / "a.jpg", LIMIT)) == ["blank"]
    assert limits.BLANK > 1


@pytest.mark.real
def test_real_photographs_are_usual(shared: Path) -> None:
    files = sorted((shared / "datasets").glob("*/*/**/*.jpg"))[::10]
    looks = [look_at(file, 10**8) for file in files]
    odd = [word for look in looks for word in words(look) if word != "mode"]
    assert len(looks) > 200
    assert len(odd) <= 0.01 * len(looks)
