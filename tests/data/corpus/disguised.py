"""Other files under an image's name, and images under another's."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator

from tests.data.corpus.kinds import Kind, bad, fine, photo, stored

NONE = "not an image of the formats JPEG, PNG, WebP, BMP, TIFF, GIF"


def kinds() -> Iterator[Kind]:
    for name, content, what in OTHERS:
        yield bad(name, content, f"^{NONE}, but {what}$")
    yield bad("random bytes.jpg", photo().tobytes()[:2_000], f"^{NONE}$")
    for kind in ("PPM", "ICO", "TGA", "PCX"):
        yield bad(f"{kind}.png", stored(photo(), kind), f"^{NONE}$")
    yield fine("a png.jpg", stored(photo(), "PNG"))
    yield fine("a jpeg.png", stored(photo(), "JPEG"))
    yield fine("a webp.gif", stored(photo(), "WEBP"))
    yield fine("a tiff.bmp", stored(photo(), "TIFF"))
    yield fine("a bmp.TIFF", stored(photo(), "BMP"))


def _archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.jpg", stored(photo(), "JPEG"))
    return file.getvalue()


def _media(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + bytes(200)


_PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not found</body></html>"
_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
_SVG = b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'><rect width='9'/></svg>"

OTHERS = (
    ("web page.jpg", _PAGE, "a web page"),
    ("web page with a mark.jpg", b"\xef\xbb\xbf" + _PAGE, "a web page"),
    ("long web page.jpg", b"<html>" + "ü".encode() * 5_000, "a web page"),
    ("text.png", b"Quota exceeded. Try again tomorrow.\n", "text"),
    ("drawing.png", _SVG, "an SVG drawing"),
    ("document.jpg", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(500), "a PDF document"),
    ("postscript.jpg", stored(photo(), "EPS"), "a PostScript document"),
    ("archive.jpg", _archive(), "a zip archive"),
    ("gzip.png", gzip.compress(stored(photo(), "PNG")), "a gzip archive"),
    ("pointer.jpg", _LFS, "a Git LFS pointer to an image that was not fetched"),
    ("video.jpg", _media(b"isom"), "a video"),
    ("old video.jpg", b"RIFF\x99\0\0\0AVI LIST" + bytes(200), "a video"),
    ("web video.jpg", b"\x1aE\xdf\xa3" + bytes(200), "a video"),
    ("telephone.jpg", _media(b"heic"), "a HEIC picture"),
    ("avif header.png", _media(b"avif"), "an AVIF picture"),
    ("raw.jpg", _media(b"crx "), "a Canon raw picture"),
    ("jpeg 2000.jpg", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(200), "a JPEG 2000 picture"),
    ("jpeg xl.jpg", b"\xff\x0a" + bytes(range(200)), "a JPEG XL picture"),
    ("photoshop.tif", b"8BPS\0\1" + bytes(200), "a Photoshop document"),
    ("dicom.jpg", bytes(128) + b"DICM" + bytes(200), "a DICOM file"),
)
