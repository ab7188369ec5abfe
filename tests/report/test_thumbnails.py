from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from finetune.data.files.decoding import UnreadableImage
from finetune.report.thumbnails import LONGER_SIDE, make_thumbnails, thumbnail
from tests.report.pages import Counter

LIMIT = 10**6


def opened(small) -> Image.Image:
    kind, data = small.uri.split(",")
    assert kind == "data:image/webp;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == (small.width, small.height)
    return picture


@pytest.mark.parametrize(
    ("size", "shown"),
    [((600, 300), (120, 60)), ((300, 600), (60, 120)), ((9, 7), (9, 7)), ((900, 2), (120, 1))],
)
def test_the_longer_side_is_bounded_and_small_pictures_stay(tmp_path, size, shown):
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", size, "teal").save(tmp_path / name)
        picture = opened(thumbnail(tmp_path / name, LIMIT))
        assert picture.size == shown
        difference = np.asarray(picture.convert("RGB")).astype(int) - (0, 128, 128)
        assert np.abs(difference).max() < 12


def test_it_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (400, 200)).save(tmp_path / "a.jpg", exif=exif)
    assert opened(thumbnail(tmp_path / "a.jpg", LIMIT)).size == (60, 120)


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "P", "RGBA", "I;16"])
def test_every_colour_mode_is_shown(tmp_path, mode):
    Image.new("L", (300, 200), 90).convert("RGB" if mode == "P" else mode.split(";")[0]).convert(
        mode
    ).save(tmp_path / "a.tif")
    assert opened(thumbnail(tmp_path / "a.tif", LIMIT)).size == (LONGER_SIDE, 80)


def test_noise_takes_a_bounded_number_of_bytes(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (150, 150, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert len(thumbnail(tmp_path / "a.png", LIMIT).uri) < 4_700


def test_what_cannot_be_read_has_none_and_every_file_is_counted(tmp_path):
    Image.new("RGB", (50, 50)).save(tmp_path / "good.png")
    Image.new("RGB", (2_000, 600)).save(tmp_path / "large.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    counter = Counter()
    names = ["bad.png", "gone\udcff.png", "good.png", "large.png", "folder\0.png"]
    made = make_thumbnails(tmp_path, names, LIMIT, counter)
    assert list(made) == names
    assert [name for name in names if made[name]] == ["good.png"]
    assert counter.advanced == counter.total == len(names)
    with pytest.raises(UnreadableImage):
        thumbnail(tmp_path / "large.png", LIMIT)
