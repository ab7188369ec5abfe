from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFilter

from finetune.data.files.decoding import UnreadableImage, decode
from finetune.data.files.looking import SHORTER_SIDE, Look, look_at
from tests.data.corpus.damaged import WHOLE
from tests.data.corpus.kinds import LIMIT, photo

Looking = Callable[..., Look]


@pytest.fixture
def looked(tmp_path: Path) -> Looking:
    """Saves an image under a name and looks at the file."""

    def through(image: Image.Image, name: str, **options) -> Look:
        image.save(tmp_path / name, **options)
        return look_at(tmp_path / name, 10**8)

    return through


def test_bytes_and_shape(tmp_path: Path) -> None:
    photo(size=(70, 50)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    look = look_at(tmp_path / "a.png", LIMIT)
    assert look.digest == hashlib.sha256(content).hexdigest()
    assert look.size == len(content)
    assert (look.format, look.mode, look.width, look.height) == ("PNG", "RGB", 70, 50)
    assert (look.quality, look.taken, look.camera, look.animated) == (0, "", "", False)


def test_a_turned_picture_keeps_its_stored_shape(looked: Looking) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for name in ("a.jpg", "a.png", "a.webp"):
        look = looked(photo(size=(70, 50)), name, exif=exif)
        assert (look.width, look.height) == (70, 50)


@pytest.mark.parametrize("quality", range(10, 96, 5))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_quality_of_a_jpeg_is_estimated(looked: Looking, quality: int, mode: str) -> None:
    assert abs(looked(photo(mode), "a.jpg", quality=quality).quality - quality) <= 2


def test_any_table_of_a_jpeg_gives_a_quality(looked: Looking) -> None:
    for table in ([1] * 64, [255] * 64, list(range(1, 65))):
        assert 1 <= looked(photo(), "a.jpg", qtables=[table, table]).quality <= 100


def test_time_and_camera(looked: Looking) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kodak\0"
    exif[ExifTags.Base.Model] = "  DC210 "
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    for name in ("a.jpg", "a.webp", "a.png"):
        look = looked(photo(), name, exif=exif)
        assert look.taken == "2024:05:06 07:08:09", name
        assert look.camera.split() == ["Kodak", "DC210"]


def test_what_a_camera_says_is_cut(looked: Looking) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "x" * 5_000
    assert len(looked(photo(), "a.jpg", exif=exif).camera) == 64


def test_light(looked: Looking) -> None:
    pixels = np.full((100, 100), 100, np.uint8)
    pixels[:, :10], pixels[:, -10:] = 5, 250
    look = looked(Image.fromarray(pixels), "a.png")
    assert (look.dark, look.bright) == pytest.approx((5, 250), abs=0.01)
    assert look.spread == pytest.approx(pixels.std(), abs=0.01)
    assert looked(Image.new("RGB", (50, 50), (9, 8, 7)), "a.png").spread == 0


def test_spread_is_of_the_channel_that_varies_most(looked: Looking) -> None:
    # Red and green of one luminance: grey alone would see nothing.
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:, :30], pixels[:, 30:] = (196, 0, 0), (0, 100, 0)
    look = looked(Image.fromarray(pixels), "a.png")
    assert look.spread > 90
    assert look.bright - look.dark < 2


def test_blur_lowers_the_sharpness(looked: Looking) -> None:
    picture = photo(size=(300, 300))
    blurred = [picture.filter(ImageFilter.GaussianBlur(radius)) for radius in (0, 2, 5, 10)]
    values = [looked(each, "a.png").sharpness for each in blurred]
    assert values == sorted(values, reverse=True)
    assert values[0] > 5 * values[-1]


def test_no_shape_is_too_small_to_be_looked_at(looked: Looking) -> None:
    for size in ((1, 1), (1, 200), (300, 1), (2, 2), (129, 130)):
        look = looked(photo(size=(200, 200)).resize(size), "a.png")
        assert np.isfinite([look.dark, look.bright, look.spread, look.sharpness]).all()


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1_500, 1_100), (255, 255), (2_000, 90)])
def test_a_reduced_jpeg_is_judged_as_the_whole(
    looked: Looking, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = photo(size=size)
    reduced = looked(picture, "a.jpg", quality=90)
    monkeypatch.setattr(Image.Image, "draft", lambda *_: None)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.draft", lambda *_: None)
    whole = looked(picture, "a.jpg", quality=90)
    assert (reduced.width, reduced.height, reduced.digest) == (*size, whole.digest)
    for name in ("dark", "bright", "spread"):
        assert getattr(reduced, name) == pytest.approx(getattr(whole, name), abs=3)
    assert reduced.sharpness == pytest.approx(whole.sharpness, rel=0.1)


def test_a_jpeg_is_reduced_where_that_saves_time(
    looked: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        "finetune.data.files.looking.upright_rgb",
        lambda image: seen.append(image.size) or image.convert("RGB"),
    )
    looked(photo(size=(2_000, 1_500)), "a.jpg")
    assert SHORTER_SIDE <= min(seen[0]) < 2 * SHORTER_SIDE


def test_the_file_is_left_as_it_was(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes(), (tmp_path / "a.jpg").stat().st_mtime_ns
    look_at(tmp_path / "a.jpg", LIMIT)
    assert ((tmp_path / "a.jpg").read_bytes(), (tmp_path / "a.jpg").stat().st_mtime_ns) == before


def _look_or_reason(path: Path) -> Look | str:
    try:
        return look_at(path, LIMIT)
    except UnreadableImage as error:
        return error.reason


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_damage_raises_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(WHOLE[data.draw(st.sampled_from(sorted(WHOLE)))])
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))
    (tmp_path / "a").write_bytes(content[:cut])
    look = _look_or_reason(tmp_path / "a")
    if isinstance(look, str):
        assert look.isprintable()
        assert 0 < len(look) < 300
        return
    assert look.size == cut
    assert np.isfinite([look.dark, look.bright, look.spread, look.sharpness]).all()
    assert decode(tmp_path / "a", LIMIT).shape[0] in (look.width, look.height)


def test_a_name_of_a_decoder_is_no_word_of_ours(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("F", (3, 3)).save(file, "TIFF")
    (tmp_path / "a.tif").write_bytes(file.getvalue())
    with pytest.raises(UnreadableImage) as caught:
        look_at(tmp_path / "a.tif", LIMIT)
    assert caught.value.reason == (
        "floating-point numbers have no known range; save the image with 8 or 16 bits"
    )
