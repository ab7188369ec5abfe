"""Files that were cut off or of which some bytes are wrong."""

from __future__ import annotations

from collections.abc import Iterator

from tests.data.corpus.kinds import Kind, bad, fine, photo, stored

PHOTO = photo()
WHOLE = {
    "jpeg.jpg": stored(PHOTO, "JPEG"),
    "progressive jpeg.jpg": stored(PHOTO, "JPEG", progressive=True),
    "png.png": stored(PHOTO, "PNG"),
    "lossy webp.webp": stored(PHOTO, "WEBP"),
    "lossless webp.webp": stored(PHOTO, "WEBP", lossless=True),
    "gif.gif": stored(PHOTO, "GIF"),
    "bmp.bmp": stored(PHOTO, "BMP"),
    "tiff.tif": stored(PHOTO, "TIFF"),
    "deflated tiff.tif": stored(PHOTO, "TIFF", compression="tiff_adobe_deflate"),
}
CUT_OFF = r"truncated|cut off"
DAMAGED = r"damaged|truncated"

LAST_BYTE_IS_IDLE = {"png.png", "gif.gif"}
"""A checksum of nothing, a full stop."""

UNGUARDED = {"lossy webp.webp", "lossless webp.webp", "bmp.bmp", "tiff.tif"}
"""What lies in the middle can be anything: no reader can tell."""

CHECKED = {"png.png", "deflated tiff.tif"}
"""A wrong bit in the middle shows."""

LENIENT_HEADER = {"jpeg.jpg", "progressive jpeg.jpg", "bmp.bmp"}
"""The byte at 5 is the length of a preface, or of the file, that nobody needs."""


def kinds() -> Iterator[Kind]:
    for name, whole in WHOLE.items():
        odd = {"mode"} if name == "gif.gif" else ()
        half = len(whole) // 2
        yield bad(f"three bytes of {name}", whole[:3], CUT_OFF)
        yield bad(f"header cut of {name}", whole[:22], CUT_OFF)
        yield bad(f"first half of {name}", whole[:half], CUT_OFF)
        yield bad(f"first byte wrong of {name}", b"\0" + whole[1:], "not an image of the formats")
        yield fine(f"garbage after {name}", whole + b"garbage" * 99, *odd)
        yield fine(f"twice {name}", whole + whole, *odd)
        yield _either(f"last byte missing of {name}", whole[:-1], name in LAST_BYTE_IS_IDLE, *odd)
        yield _zeros(f"zeros from the middle of {name}", name, whole[:half], len(whole) - half)
        yield _either(f"a bit wrong in {name}", flipped(whole, half), name not in CHECKED, *odd)
        header = flipped(whole, 5)
        yield _either(f"a bit wrong in the header of {name}", header, name in LENIENT_HEADER)
    yield bad("no byte.jpg", b"", "^empty file$")
    yield bad("one byte.jpg", b"\xff", "not an image of the formats")
    yield bad("zeros.jpg", bytes(5_000), "^nothing but zeros")
    yield bad("jpeg without pixels.jpg", headers_only(WHOLE["jpeg.jpg"]), CUT_OFF)
    yield fine("jpeg with the usual tables left out.jpg", without_tables(WHOLE["jpeg.jpg"]))
    yield from restarts()


def _zeros(title: str, name: str, half: bytes, lost: int) -> Kind:
    if name == "png.png":  # zeros happen to be a code for some level
        return bad(title, half + bytes(lost), "^damaged: the checksum")
    return _either(title, half + bytes(lost), name in UNGUARDED)


def _either(name: str, content: bytes, readable: bool, *odd: str) -> Kind:
    return fine(name, content, *odd) if readable else bad(name, content, DAMAGED)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def headers_only(jpeg: bytes) -> bytes:
    return jpeg[: jpeg.index(b"\xff\xda")]


def without_tables(jpeg: bytes) -> bytes:
    start = jpeg.index(b"\xff\xc4")
    return jpeg[:start] + jpeg[jpeg.index(b"\xff\xda") :]


def restarts() -> Iterator[Kind]:
    """A JPEG with marks from which a decoder finds its place again, and one that lost some."""
    whole = stored(PHOTO, "JPEG", restart_marker_rows=1)
    yield fine("restart markers.jpg", whole)
    lost = whole.replace(b"\xff\xd1", b"").replace(b"\xff\xd3", b"")
    assert lost != whole
    yield fine("restart markers missing.jpg", lost)
