"""One look at a file: whether it can be read, and what is worth knowing of it."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from finetune.data.copies.fingerprints import fingerprint
from finetune.data.files.checksums import pixels_are_damaged
from finetune.data.files.decoding import UnreadableImage, open_image, opened, upright_rgb

if TYPE_CHECKING:
    import io
    from pathlib import Path

SHORTER_SIDE = 128
"""Pixels that a picture is judged at: a JPEG of a camera is decoded in a fraction of the time,
and what is blurred even so is blurred for a network that sees 224."""

LOOK_VERSION = 1
"""To be raised when a look tells more, or anything else, than it did."""

# The luminance table of the JPEG standard, annex K.1.
_LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip
_FAR_ENDS = (5.0, 95.0)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an image file told.

    Attributes:
        digest: SHA-256 of the bytes in hex.
        size: Bytes.
        format: Pillow's name: ``JPEG``, ``PNG``, ...
        mode: Pillow's colour mode as stored: ``RGB``, ``L``, ``CMYK``, ``I;16``, ...
        width: Pixels as stored, before EXIF orientation.
        height: Likewise.
        animated: There are further frames or pages, which nothing looks at.
        quality: The setting from 1 to 100 that a JPEG file was written with, by its quantisation
            table; 0 for other formats.
        taken: EXIF's ``DateTimeOriginal`` as written there; empty: unknown.
        camera: EXIF's make and model; empty: unknown.
        dark: Luminance that 5 % of the pixels lie below, 0 to 255.
        bright: Luminance that 5 % of the pixels lie above, 0 to 255.
        spread: Standard deviation of the channel that varies most, in levels of 255.
        sharpness: Standard deviation of the Laplacian over that of the luminance.
        fingerprint: What near-duplicates are known by.
    """

    digest: str
    size: int
    format: str
    mode: str
    width: int
    height: int
    animated: bool
    quality: int
    taken: str
    camera: str
    dark: float
    bright: float
    spread: float
    sharpness: float
    fingerprint: bytes


def look_at(path: Path, max_pixels: int) -> Look:
    """Read, digest and decode a file once.

    A JPEG is decoded at the smallest of its reduced sizes that is still `SHORTER_SIDE`, which
    reads all of its data in less time.

    Raises:
        UnreadableImage: As `finetune.data.files.decoding.decode`; or it changed meanwhile.
    """
    with opened(path) as file, open_image(file, max_pixels) as image:
        before = _state(file)
        look = _looked_at(image, *_digest(file))
        if pixels_are_damaged(file):
            raise UnreadableImage("damaged: the checksum of its pixels is another")
        if _state(file) != before:
            raise UnreadableImage("changed while it was read")
        return look


def _state(file: io.BufferedReader) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


def _digest(file: io.BufferedReader) -> tuple[str, int]:
    """SHA-256 in hex and the number of bytes; the file's position stays as a decoder left it."""
    position = file.tell()
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = file.tell()
    file.seek(position)
    return digest, size


def _looked_at(image: Image.Image, digest: str, size: int) -> Look:
    width, height = image.size
    mode, quality = image.mode, _jpeg_quality(image)
    shorter = min(width, height)
    image.draft(image.mode, (width * SHORTER_SIDE // shorter, height * SHORTER_SIDE // shorter))
    picture = _reduced(upright_rgb(image))
    dark, bright, spread, sharpness = _statistics(picture)
    taken, camera = _exif(image)
    return Look(
        digest=digest,
        size=size,
        format=image.format or "",
        mode=mode,
        width=width,
        height=height,
        animated=_is_animated(image),
        quality=quality,
        taken=taken,
        camera=camera,
        dark=dark,
        bright=bright,
        spread=spread,
        sharpness=sharpness,
        fingerprint=fingerprint(picture),
    )


def _reduced(picture: Image.Image) -> Image.Image:
    shorter = min(picture.size)
    if shorter <= SHORTER_SIDE:
        return picture
    width, height = (max(1, round(side * SHORTER_SIDE / shorter)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _statistics(picture: Image.Image) -> tuple[float, float, float, float]:
    """Dark end, bright end, spread and sharpness, as `Look` has them."""
    pixels = np.asarray(picture, np.float32)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    dark, bright = np.percentile(grey, _FAR_ENDS)
    spread = pixels.std((0, 1)).max()
    return float(dark), float(bright), float(spread), _sharpness(grey)


def _sharpness(grey: npt.NDArray[np.float32]) -> float:
    deviation = float(grey.std())
    if min(grey.shape) < 3 or deviation < 1.0:
        return 0.0
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * middle).std()) / deviation


def _jpeg_quality(image: Image.Image) -> int:
    """The setting of libjpeg whose table comes nearest to that of the file."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    table = tables.get(0)
    return int(np.abs(_table_sums() - sum(table)).argmin()) + 1 if table else 0


@cache
def _table_sums() -> npt.NDArray[np.int64]:
    """Sum of libjpeg's luminance table at each setting from 1 to 100, ``[100]``."""
    setting = np.arange(1, 101)[:, None]
    percent = np.where(setting < 50, 5_000 // setting, 200 - 2 * setting)
    sums: npt.NDArray[np.int64] = ((_LUMINANCE * percent + 50) // 100).clip(1, 255).sum(1)
    return sums


def _exif(image: Image.Image) -> tuple[str, str]:
    with suppress(Exception):  # damaged EXIF is no reason to lose the picture
        exif = image.getexif()
        camera = f"{exif.get(ExifTags.Base.Make, '')} {exif.get(ExifTags.Base.Model, '')}"
        taken = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal, "")
        return _word(taken), _word(camera)
    return "", ""


def _word(value: object) -> str:
    return str(value).replace("\0", " ").strip()[:64]


def _is_animated(image: Image.Image) -> bool:
    if image.format == "MPO":  # a telephone's JPEG, with a map of brightness or of depth
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # whatever is wrong after the first frame
        return False
