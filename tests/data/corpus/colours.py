"""Every way in which the formats hold colour."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

from tests.data.corpus.huge import chunk
from tests.data.corpus.kinds import Kind, bad, fine, photo, stored


def kinds() -> Iterator[Kind]:
    yield fine("grey.png", stored(photo("L"), "PNG"))
    yield fine("grey.jpg", stored(photo("L"), "JPEG"))
    for kind in ("PNG", "TIFF", "BMP"):
        yield fine(f"one bit.{kind.lower()}", stored(photo("1"), kind), "mode")
    yield fine("palette.png", stored(photo("P"), "PNG"), "mode")
    yield fine("palette.bmp", stored(photo("P"), "BMP"), "mode")
    yield fine("palette, a colour clear.png", stored(photo("P"), "PNG", transparency=3), "mode")
    yield fine("palette, a colour clear.gif", stored(photo("P"), "GIF", transparency=3), "mode")
    yield fine("palette, alpha for each.png", stored(*_faded_palette()), "mode")
    yield fine("a colour clear.png", stored(photo(), "PNG", transparency=(60, 60, 60)))
    yield fine("grey, alpha.png", stored(photo("LA"), "PNG"), "mode")
    yield fine("grey, alpha.tif", stored(photo("LA"), "TIFF"), "mode")
    yield fine("alpha.png", stored(photo("RGBA"), "PNG"), "mode")
    yield fine("alpha.webp", stored(_faded(), "WEBP"), "mode")
    yield fine("alpha, lossless.webp", stored(_faded(), "WEBP", lossless=True), "mode")
    yield fine("alpha.tif", stored(_faded(), "TIFF"), "mode")
    yield fine("alpha.bmp", stored(_faded(), "BMP"))
    yield fine("all clear.png", stored(_clear(), "PNG"), "blank", "mode")
    yield fine("ink.jpg", stored(photo("CMYK"), "JPEG"), "mode")
    yield fine("ink.tif", stored(photo("CMYK"), "TIFF"), "mode")
    yield fine("ink, coded as Adobe does.jpg", _ycck(), "mode")
    yield fine("luminance and colour.tif", stored(photo("YCbCr"), "TIFF"))
    yield fine("lab.tif", stored(_lab(), "TIFF"), "mode")
    yield fine("16 bits of grey.png", stored(_deep_grey(), "PNG"), "mode")
    yield fine("16 bits of grey.tif", stored(_deep_grey(), "TIFF"), "mode")
    yield fine("16 bits of grey, big end first.tif", _big_end_first(), "mode")
    yield fine("16 bits.png", _deep_png(colour=2))
    yield fine("16 bits, alpha.png", _deep_png(colour=6), "mode")
    yield fine("16 bits.tif", _deep_tiff())
    unknown = "have no known range; save the image with 8 or 16 bits$"
    yield bad(
        "whole numbers.tif", stored(_numbers(np.int32), "TIFF"), f"^whole numbers .*{unknown}"
    )
    yield bad("numbers.tif", stored(_numbers(np.float32), "TIFF"), f"^floating-point .*{unknown}")


def _faded() -> Image.Image:
    image = photo("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _clear() -> Image.Image:
    image = photo("RGBA")
    image.putalpha(0)
    return image


def _faded_palette() -> tuple[Image.Image, str]:
    image = photo("P")
    image.info["transparency"] = bytes(range(256))
    return image, "PNG"


def _lab() -> Image.Image:
    srgb, lab = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    converted = ImageCms.profileToProfile(photo(), srgb, lab, outputMode="LAB")
    assert converted is not None
    return converted


def _deep_grey() -> Image.Image:
    return Image.fromarray(np.asarray(photo("L")).astype(np.uint16) * 257)


def _numbers(kind: type[np.generic]) -> Image.Image:
    return Image.fromarray(np.asarray(photo("L")).astype(kind))


def _ycck() -> bytes:
    """Pillow writes ink as it is, with Adobe's mark that says so: the mark is all that differs."""
    whole = stored(photo("CMYK"), "JPEG")
    at = whole.index(b"Adobe") + 11
    return whole[:at] + b"\2" + whole[at + 1 :]


def _deep_png(colour: int) -> bytes:
    bands = 4 if colour == 6 else 3
    pixels = np.asarray(photo("RGBA"))[..., :bands].astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(">u2"))
    height, width = pixels.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    pieces = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + pieces


def _big_end_first() -> bytes:
    deep = np.asarray(photo("L")).astype(">u2") * 257
    return tiff_by_hand(deep.astype(">u2").tobytes(), deep.shape[::-1], (16,), 1, ">")


def _deep_tiff() -> bytes:
    deep = np.asarray(photo()).astype("<u2") * 257
    return tiff_by_hand(deep.tobytes(), (deep.shape[1], deep.shape[0]), (16, 16, 16), 2, "<")


def tiff_by_hand(
    pixels: bytes, size: tuple[int, ...], bits: tuple[int, ...], colour: int, order: str
) -> bytes:
    """A TIFF of one strip; ``order`` is ``<`` or ``>``."""
    wide = len(bits) > 2
    place = 8 + len(pixels)
    bits_at = place + 2 + 12 * 8 + 4
    tags = [(256, 4, 1, size[0]), (257, 4, 1, size[1]),
            (258, 3, len(bits), bits_at if wide else bits[0]), (259, 3, 1, 1), (262, 3, 1, colour),
            (273, 4, 1, 8), (277, 3, 1, len(bits)), (279, 4, 1, len(pixels))]  # fmt: skip
    entries = b""
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        told = struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + told
    mark = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, place)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return mark + pixels + directory + struct.pack(f"{order}{len(bits)}H", *bits)
