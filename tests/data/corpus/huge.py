"""Headers that promise, or small files that unpack to, more than a memory holds."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tests.data.corpus.kinds import LIMIT, Kind, bad, fine, photo, stored

OVER = r"pixels, over data\.max_pixels"
NOT_READ = "damaged or cut off, or a kind of|damaged, or of a kind|truncated"


def kinds() -> Iterator[Kind]:
    yield bad("bomb.png", png(60_000, 60_000, zlib.compress(bytes(10**6))), f"^60,000 .*{OVER}")
    yield bad("honest bomb.png", honest_bomb(), f"^12,000 x 12,000 {OVER}")
    yield bad("bomb.tif", tiff(60_000, 60_000), f"^60,000 x 60,000 {OVER}")
    yield bad("bomb of one tile.tif", tiff(64, 64, tile=40_000), f"^40,000 x 40,000 {OVER}")
    yield bad("bomb.gif", gif(60_000, 60_000), f"^60,000 x 60,000 {OVER}")
    yield bad("bomb.bmp", bmp(60_000, 60_000), f"^60,000 x 60,000 {OVER}")
    yield bad("bomb.webp", webp(60_000, 60_000), f"^60,000 x 60,000 {OVER}")
    yield bad("bomb.jpg", jpeg(65_500, 65_500), f"^65,500 x 65,500 {OVER}")
    yield bad("just over the limit.png", stored(Image.new("1", (1001, 1000)), "PNG"), OVER)
    yield fine("just at the limit.png", stored(Image.new("1", (1000, 1000)), "PNG"), *ONE_BIT)
    yield bad("frame outside.gif", gif(20, 20, frame=(50_000, 50_000, 60, 60)), OVER)
    yield fine("frame a little outside.gif", framed(), "mode")
    yield bad("width 0.png", png(0, 20, b""), NOT_READ)
    yield bad("width 0.jpg", jpeg(0, 20), NOT_READ)
    yield bad("width 0.gif", gif(0, 0), NOT_READ)
    yield bad("width 0.tif", tiff(0, 20), NOT_READ)
    yield bad("height 2^31.png", png(20, 2**31, b""), f"{NOT_READ}|{OVER}")
    yield bad("side 2^31-1.png", png(2**31 - 1, 2**31 - 1, b""), OVER)
    yield bad("height 2^31-1.bmp", bmp(20, 2**31 - 1), OVER)
    yield bad("side 2^32-1.tif", tiff(2**32 - 1, 2**32 - 1), OVER)
    yield bad("text bomb.png", with_chunk(b"zTXt", b"note\0\0" + BOMB), "^more text")
    yield bad(
        "text bomb behind.png", with_chunk(b"zTXt", b"note\0\0" + BOMB, last=True), "^more text"
    )
    yield bad("itxt bomb.png", with_chunk(b"iTXt", b"note\0\1\0\0\0" + BOMB), "^more text")
    yield bad("profile bomb.png", with_chunk(b"iCCP", b"icc\0\0" + BOMB), "^more text")
    yield bad("sparse.webp", sparse, "more than data.max_pixels")
    yield bad("sparse.jpg", sparse, "more than data.max_pixels")


BOMB = zlib.compress(bytes(30 * 2**20), 9)
ONE_BIT = ("blank", "mode")


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int, pixels: bytes, depth: int = 1, colour: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def honest_bomb() -> bytes:
    """All of its pixels are there: 18 MB of zeros in 18 KB."""
    return png(12_000, 12_000, zlib.compress(bytes(12_000 * 1_501), 1))


def with_chunk(kind: bytes, content: bytes, *, last: bool = False) -> bytes:
    whole = stored(photo(), "PNG")
    at = whole.index(b"IEND" if last else b"IDAT") - 4
    return whole[:at] + chunk(kind, content) + whole[at:]


def tiff(width: int, height: int, *, tile: int = 0) -> bytes:
    """Deflated RGB whose only strip or tile holds next to nothing."""
    piece = [(322, tile), (323, tile), (324, 8), (325, 16)] if tile else []
    strip = [] if tile else [(273, 8), (278, height), (279, 16)]
    tags = sorted([(256, width), (257, height), (258, 8), (259, 8), (262, 1), *piece, *strip])
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = zlib.compress(bytes(16))[:16].ljust(16, b"\0")
    return (
        b"II*\0" + struct.pack("<I", 24) + data + struct.pack("<H", len(tags)) + entries + bytes(4)
    )


def gif(width: int, height: int, frame: tuple[int, int, int, int] | None = None) -> bytes:
    left, top, wide, high = frame or (0, 0, width, height)
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    piece = b"," + struct.pack("<HHHHB", left, top, wide, high, 0)
    return screen + piece + b"\x02\x02\x44\x01\0;"


def framed() -> bytes:
    """A GIF of 40 x 40 whose picture is larger; other readers widen it too."""
    whole = bytearray(stored(photo("P"), "GIF"))
    whole[6:10] = struct.pack("<HH", 40, 40)
    return bytes(whole)


def bmp(width: int, height: int) -> bytes:
    information = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + information + bytes(90)


def webp(width: int, height: int) -> bytes:
    whole = stored(photo("RGBA"), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    assert whole[12:16] == b"VP8X"
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return whole[:24] + sides + whole[30:]


def jpeg(width: int, height: int) -> bytes:
    whole = stored(photo(), "JPEG")
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + struct.pack(">HH", height, width) + whole[at + 4 :]


def sparse(path: Path) -> None:
    """A picture with 8 GiB of nothing behind it, which take no room on the disk."""
    kind = "WEBP" if path.suffix == ".webp" else "JPEG"
    content = bytearray(stored(photo(), kind))
    if kind == "WEBP":
        content[4:8] = b"\xf0\xff\xff\xff"
    path.write_bytes(content)
    os.truncate(path, 2**33)


assert LIMIT == 1000 * 1000
