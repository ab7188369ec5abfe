"""Rare members of the formats: compressions, orders, frames, and what lies beside the pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms

from tests.data.corpus.colours import tiff_by_hand
from tests.data.corpus.huge import chunk
from tests.data.corpus.kinds import Kind, bad, fine, photo, stored

EMPTY_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"


def kinds() -> Iterator[Kind]:
    yield from _frames()
    yield from _exif()
    yield from _profiles()
    yield from _png()
    yield from _bmp()
    yield from _tiff()
    yield fine("quality 1.jpg", stored(photo(), "JPEG", quality=1))
    yield fine("quality 100.jpg", stored(photo(), "JPEG", quality=100))
    odd_tables = [[99] * 64, [1, 255] * 32]
    yield fine("odd tables.jpg", stored(photo(), "JPEG", qtables=odd_tables))
    yield fine("comment.jpg", stored(photo(), "JPEG", comment=b"\x1b[2J" * 9_000))
    yield fine("no thinned colour.jpg", stored(photo(), "JPEG", subsampling=0))


def _frames() -> Iterator[Kind]:
    yield fine("animated.gif", stored(photo(), "GIF", **_more()), "animated", "mode")
    yield fine("animated.webp", stored(photo(), "WEBP", **_more()), "animated")
    yield fine("animated.png", stored(photo(), "PNG", **_more()), "animated")
    yield fine("pages.tif", stored(photo(), "TIFF", **_more()), "animated")
    yield fine("telephone with a second picture.jpg", stored(photo(), "MPO", **_more()))
    twin = stored(photo(), "MPO", **_more())
    yield fine("second picture cut.mpo", twin[: len(stored(photo(), "JPEG")) + 400])
    pages = stored(photo(), "TIFF", **_more())
    first = len(stored(photo(), "TIFF"))
    yield fine("second page cut.tif", pages[: first + 100], "animated")
    frames = stored(photo(), "GIF", **_more())
    yield fine("second frame cut.gif", frames[: len(stored(photo(), "GIF")) + 4], "mode")


def _more() -> dict[str, Any]:
    # New pictures each time: Pillow leaves settings of a format on them.
    return {"save_all": True, "append_images": [photo(seed=1), photo(seed=2)]}


def _exif() -> Iterator[Kind]:
    for orientation in (*range(10), 65_535):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        yield fine(f"orientation {orientation}.jpg", stored(photo(), "JPEG", exif=exif))
    damaged = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01"
    yield fine("damaged exif.jpg", stored(photo(), "JPEG", exif=damaged))
    yield fine("damaged exif.webp", stored(photo(), "WEBP", exif=damaged))
    yield fine("damaged exif.png", stored(photo(), "PNG", exif=damaged))
    yield fine("huge exif.jpg", stored(photo(), "JPEG", exif=EMPTY_EXIF + bytes(65_000)))
    yield fine("circular exif.jpg", stored(photo(), "JPEG", exif=_circular()))


def _circular() -> bytes:
    """The directory of camera data is the first directory again, and so is the next."""
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + struct.pack(">I", 8)


def _profiles() -> Iterator[Kind]:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        ending = kind.lower()
        yield fine(f"profile.{ending}", stored(photo(), kind, icc_profile=srgb))
        yield fine(f"damaged profile.{ending}", stored(photo(), kind, icc_profile=srgb[:99]))


def _png() -> Iterator[Kind]:
    whole = stored(photo(), "PNG")
    at = whole.index(b"IDAT") - 4
    note = chunk(b"tEXt", b"note\0a word")
    yield fine("note.png", whole[:at] + note + whole[at:])
    wrong = note[:-1] + bytes([note[-1] ^ 1])
    yield bad("checksum of a note wrong.png", whole[:at] + wrong + whole[at:], "^damaged")
    yield fine("checksum of a last note wrong.png", whole[:-12] + wrong + whole[-12:])
    pixels = whole.index(b"IEND") - 8
    lost = whole[:pixels] + b"\0\0\0\0" + whole[pixels + 4 :]
    yield bad("checksum of the pixels wrong.png", lost, "^damaged: the checksum")
    yield fine("unknown chunk.png", whole[:at] + chunk(b"abCd", b"12345") + whole[at:])
    yield fine("interlaced.png", _interlaced())


def _interlaced() -> bytes:
    """Adam7 by hand: seven passes, none of them filtered."""
    pixels = np.asarray(photo())
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
              (1, 0, 2, 1))  # fmt: skip
    rows = b"".join(
        b"\0" + row.tobytes() for top, left, down, across in passes
        for row in pixels[top::down, left::across]
    )  # fmt: skip
    height, width = pixels.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    pieces = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + pieces


def _bmp() -> Iterator[Kind]:
    whole = stored(photo(), "BMP")
    height = struct.pack("<i", -72)
    yield fine("top row first.bmp", whole[:22] + height + whole[26:])
    yield fine("os2.bmp", _os2())
    yield fine("run lengths.bmp", _run_lengths(), "mode")
    yield bad("unknown compression.bmp", whole[:30] + b"\x09" + whole[31:], "damaged, or of a kind")
    yield bad("three bits.bmp", whole[:28] + b"\x03" + whole[29:], "damaged, or of a kind")


def _os2() -> bytes:
    pixels = np.asarray(photo())[::-1, :, ::-1]
    height, width = pixels.shape[:2]
    header = b"BM" + struct.pack("<IHHI", 26 + pixels.size, 0, 0, 26)
    return header + struct.pack("<IHHHH", 12, width, height, 1, 24) + pixels.tobytes()


def _run_lengths() -> bytes:
    grey = np.asarray(photo("L"))[::-1] // 16
    height, width = grey.shape
    runs = (
        b"".join(b"".join(bytes((1, value)) for value in row) + b"\0\0" for row in grey) + b"\0\1"
    )
    palette = b"".join(bytes((16 * n, 16 * n, 16 * n, 0)) for n in range(16))
    sizes = (40, width, height, 1, 8, 1, len(runs), 0, 0, 16, 0)
    header = b"BM" + struct.pack("<IHHI", 54 + 64 + len(runs), 0, 0, 54 + 64)
    return header + struct.pack("<IiiHHIIiiII", *sizes) + palette + runs


def _tiff() -> Iterator[Kind]:
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield fine(f"{compression}.tif", stored(photo(), "TIFF", compression=compression))
    yield fine("fax.tif", stored(photo("1"), "TIFF", compression="group4"), "mode")
    lzw = stored(photo(), "TIFF", compression="tiff_lzw")
    half = len(lzw) // 4
    yield bad("lzw damaged.tif", lzw[:half] + b"\xff" * 200 + lzw[half + 200 :], "^damaged, or")
    yield fine("tiles.tif", tiles())
    yield bad("five bands.tif", _five_bands(), "or a kind of TIFF that is not read")
    yield bad("a million bands.tif", _bands(10**6), "or a kind of TIFF that is not read")


def tiles() -> bytes:
    """Grey in uncompressed tiles of 32 x 32."""
    pixels = np.zeros((96, 96), np.uint8)
    pixels[:72] = np.asarray(photo("L"))
    pieces = [pixels[y : y + 32, x : x + 32].tobytes() for y in (0, 32, 64) for x in (0, 32, 64)]
    offsets = struct.pack("<9I", *(8 + 1_024 * number for number in range(9)))
    sizes = struct.pack("<9I", *[1_024] * 9)
    place = 8 + 9 * 1_024
    tags = [(256, 4, 1, 96), (257, 4, 1, 72), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
            (322, 4, 1, 32), (323, 4, 1, 32), (324, 4, 9, place),
            (325, 4, 9, place + 36)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    mark = b"II*\0" + struct.pack("<I", place + 72)
    return mark + b"".join(pieces) + offsets + sizes + directory


def _five_bands() -> bytes:
    pixels = np.asarray(photo("L")).repeat(5).tobytes()
    return tiff_by_hand(pixels, (96, 72), (8,) * 5, 2, "<")


def _bands(count: int) -> bytes:
    tags = [(256, 4, 1, 20), (257, 4, 1, 20), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 4, 1, count)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
