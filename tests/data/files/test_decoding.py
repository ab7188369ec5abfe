from __future__ import annotations

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from finetune.data.files.decoding import UnreadableImage, decode
from finetune.data.files.looking import look_at

LIMIT = 10**6


@pytest.fixture
def stored(tmp_path):
    """Saves an image as a file of the given name and decodes it again."""

    def through(image: Image.Image, name: str, **options) -> np.ndarray:
        image.save(tmp_path / name, **options)
        look_at(tmp_path / name, LIMIT)
        pixels = decode(tmp_path / name, LIMIT)
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
        assert pixels.flags.writeable
        return pixels

    return through


def grid(mode: str = "RGB") -> Image.Image:
    ramp = np.linspace(0, 255, 12 * 16 * 3).reshape(12, 16, 3).astype(np.uint8)
    return Image.fromarray(ramp).convert(mode)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_lossless_formats_give_the_pixels_back(stored, name):
    np.testing.assert_array_equal(stored(grid(), name), np.asarray(grid()))


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_formats_come_near(stored, name):
    difference = stored(grid(), name, quality=95).astype(int) - np.asarray(grid())
    assert np.abs(difference).mean() < 3


def test_the_first_frame_is_taken(stored):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    for name, save_all in (("a.gif", True), ("a.tif", True), ("a.webp", True), ("a.png", True)):
        pixels = stored(
            frames[0], name, save_all=save_all, append_images=frames[1:],
            **({"lossless": True} if name == "a.webp" else {}),
        )  # fmt: skip
        assert (pixels == [255, 0, 0]).all(), name


def test_a_jpeg_with_further_pictures_is_a_jpeg(tmp_path):
    grid().save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[grid()])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    assert decode(tmp_path / "a.jpg", LIMIT).shape == (12, 16, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_exif_orientation_is_applied(stored, orientation, name):
    # Upright, a picture is dark but for its bright upper left corner.
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :8] = 255
    undo = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
            5: lambda a: a.transpose(1, 0, 2), 6: np.rot90,
            7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
            8: lambda a: np.rot90(a, -1)}  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = Image.fromarray(np.ascontiguousarray(undo[orientation](upright)))
    pixels = stored(turned, name, exif=exif.tobytes())
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).mean() < 12


def test_damaged_exif_is_no_reason_to_lose_the_picture(stored):
    assert stored(grid(), "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01").shape == (12, 16, 3)


def test_grey_and_one_bit(stored):
    assert (stored(Image.new("L", (3, 2), 77), "a.png") == 77).all()
    for value in (0, 1):
        assert (stored(Image.new("1", (3, 2), value), "a.png") == 255 * value).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_grey_is_divided_by_257(stored, name):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    assert stored(Image.fromarray(values), name)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_what_is_transparent_lies_on_white(stored):
    half = Image.new("RGBA", (3, 2), (0, 0, 0, 0))
    half.putpixel((0, 0), (10, 20, 30, 255))
    half.putpixel((1, 0), (0, 0, 0, 128))
    for name in ("a.png", "a.tif"):
        pixels = stored(half, name)
        assert pixels[0].tolist() == [[10, 20, 30], [127, 127, 127], [255, 255, 255]]
    assert stored(Image.new("LA", (3, 2), (9, 0)), "a.png").min() == 255


def test_palettes_with_and_without_transparency(stored):
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([200, 0, 0, 0, 100, 0])
    palette.putpixel((1, 0), 1)
    assert stored(palette, "a.png")[0].tolist() == [[200, 0, 0], [0, 100, 0]]
    for name in ("a.png", "a.gif"):
        assert stored(palette, name, transparency=1)[0].tolist() == [[200, 0, 0], [255] * 3]


def test_a_transparent_colour_of_rgb_and_grey_lies_on_white(stored):
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    assert stored(image, "a.png", transparency=(1, 2, 3))[0].tolist() == [[255] * 3, [9] * 3]
    assert stored(image.convert("L"), "a.png", transparency=9)[0, 1].tolist() == [255] * 3


def test_cmyk(stored):
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow: red
    red = stored(ink, "a.jpg", quality=95)
    assert np.abs(red.astype(int) - [255, 0, 0]).max() < 12
    assert (stored(ink, "a.tif") == [255, 0, 0]).all()


def test_ycbcr_and_lab(stored):
    red = Image.new("RGB", (8, 8), (200, 30, 30))
    assert np.abs(stored(red.convert("YCbCr"), "a.tif").astype(int) - [200, 30, 30]).max() < 4
    from PIL import ImageCms

    lab = ImageCms.profileToProfile(
        red, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert np.abs(stored(lab, "a.tif").astype(int) - [200, 30, 30]).max() < 4


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_values_without_a_known_range_are_refused(tmp_path, kind):
    Image.fromarray(np.zeros((3, 3), kind)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImage, match="have no known range; save the image with 8 or 16"):
        decode(tmp_path / "a.tif", LIMIT)


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "PCX", "JPEG2000", "EPS", "AVIF"])
def test_other_formats_are_not_opened(tmp_path, kind):
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow can't write {kind}")
    grid().save(tmp_path / "a.png", format=kind)
    with pytest.raises(UnreadableImage, match="not an image of the formats"):
        decode(tmp_path / "a.png", LIMIT)


def test_the_limit_is_judged_by_the_header(tmp_path, recwarn):
    # A header that promises 30,000 x 30,000 pixels, over Pillow's own limits, and no data.
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    header = bytearray(file.getvalue())
    header[16:24] = (30000).to_bytes(4, "big") * 2
    import zlib

    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(header)
    with pytest.raises(UnreadableImage, match="30,000 x 30,000 pixels, over data"):
        decode(tmp_path / "a.png", 89_478_485)
    limit = Image.MAX_IMAGE_PIXELS
    assert limit is not None
    assert not recwarn.list


def test_a_larger_limit_than_pillows_own_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    grid().save(tmp_path / "a.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode(tmp_path / "a.png", LIMIT).shape == (12, 16, 3)
    assert not caught
    assert Image.MAX_IMAGE_PIXELS == 10


def test_files_that_are_none(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    reasons = {}
    for name in ("empty", "folder", "link", "self", "pipe", "none", "nul\0"):
        with pytest.raises(UnreadableImage) as caught:
            decode(tmp_path / f"{name}.jpg", LIMIT)
        reasons[name] = caught.value.reason
    assert reasons["empty"] == "empty file"
    assert reasons["folder"] == "a folder, not a file"
    assert reasons["link"] == "broken link"
    assert reasons["self"] == "a link that leads back to itself"
    assert reasons["pipe"] == "not a regular file"
    assert reasons["none"] == "no such file"
    assert "null byte" in reasons["nul\0"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read(tmp_path):
    grid().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(UnreadableImage, match="no permission to read it"):
        decode(tmp_path / "a.png", LIMIT)


def _samples() -> dict[str, bytes]:
    samples = {}
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, mode in (("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"),
                       ("WEBP", "RGB"), ("BMP", "RGB"), ("TIFF", "RGB"), ("GIF", "P")):  # fmt: skip
        file = io.BytesIO()
        grid(mode).save(file, kind, **({"exif": exif} if kind in ("JPEG", "TIFF") else {}))
        samples[f"{kind} {mode}"] = file.getvalue()
    return samples


SAMPLES = _samples()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_bytes_do_any_harm(tmp_path, data):
    content = bytearray(SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))
    (tmp_path / "a").write_bytes(content[:cut])
    try:
        pixels = decode(tmp_path / "a", LIMIT)
    except UnreadableImage as error:
        reason = error.reason
    else:
        reason = ""
        assert pixels.ndim == 3
        assert pixels.size <= 3 * LIMIT
    assert len(reason.splitlines()) == int(bool(reason))


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=300))
def test_what_is_no_image_is_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UnreadableImage):
        look_at(tmp_path / "a", LIMIT)


def test_threads_leave_pillow_and_the_warnings_as_they_were(tmp_path):
    from finetune.data.files.decoding import without_warnings

    grid().save(tmp_path / "a.jpg")
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    with without_warnings(), ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: look_at(tmp_path / "a.jpg", LIMIT).digest, range(200)))
    assert len(digests) == 1
    assert limit == Image.MAX_IMAGE_PIXELS
    assert warnings.filters == filters
