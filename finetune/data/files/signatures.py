"""What a file is by its first bytes, where no image can be read from it."""

from __future__ import annotations

READ = "JPEG, PNG, WebP, BMP, TIFF, GIF"
"""The formats that are opened, as a person writes them."""

BEGINNING = 512
"""Bytes that are looked at."""

_OURS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF8", "GIF"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"Rar!", "a rar archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"8BPS", "a Photoshop document"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"version https://git-lfs", "a Git LFS pointer to an image that was not fetched"),
)
_BRANDS = {  # ISO base media files, by the brand that follows ``ftyp``
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), "a HEIC picture"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF picture"),
    b"crx ": "a Canon raw picture",
}


def unidentified(beginning: bytes) -> str:
    """Why no image was found in a file that begins like this, in a few words."""
    if not beginning.strip(b"\0"):
        return "nothing but zeros where an image begins"
    if ours := _ours(beginning):
        return f"damaged or cut off, or a kind of {ours} that is not read"
    other = _other(beginning)
    return f"not an image of the formats {READ}" + (f", but {other}" if other else "")


def _ours(beginning: bytes) -> str:
    if _agree(b"RIFF", beginning) and _agree(b"WEBP", beginning[8:12] or b"WEBP"):
        return "WebP"
    return next((name for magic, name in _OURS if _agree(magic, beginning)), "")


def _agree(magic: bytes, beginning: bytes) -> bool:
    return beginning.startswith(magic) or (len(beginning) > 1 and magic.startswith(beginning))


def _other(beginning: bytes) -> str:
    if beginning[4:8] == b"ftyp":
        return _BRANDS.get(beginning[8:12], "a video")
    if beginning.startswith(b"RIFF") and beginning[8:12] == b"AVI ":
        return "a video"
    if beginning[128:132] == b"DICM":
        return "a DICOM file"
    known = next((name for magic, name in _OTHERS if beginning.startswith(magic)), "")
    return known or _text(beginning)


def _text(beginning: bytes) -> str:
    try:
        words = beginning.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < BEGINNING - 3:  # else the last letter is cut in two
            return ""
        words = beginning[: error.start].decode("utf-8-sig")
    if not all(letter.isprintable() or letter.isspace() for letter in words):
        return ""
    words = words.lstrip().casefold()
    if "<svg" in words:
        return "an SVG drawing"
    if words.startswith(("<!doctype html", "<html")):
        return "a web page"
    return "text"
