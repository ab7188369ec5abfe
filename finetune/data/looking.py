"""One look at a file: whether it can be read, and what is worth knowing of it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from finetune.data.decoding import open_image, opened, upright_rgb
from finetune.data.fingerprints import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

SHORTER_SIDE = 128
"""Pixels that a picture is judged at: a JPEG of a camera is decoded in a fraction of the time,
and what is blurred even so is blurred for a network that sees 224."""

LOOK_VERSION = 1
"""To be raised when a look tells more, or anything else, than it did."""

_JPEG_SUM = 3_688  # of the 64 numbers in the luminance table of the JPEG standard, annex K
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
        animated: There are further frames, which nothing looks at.
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
        UnreadableImage: As `finetune.data.decoding.decode`.
    """
    with opened(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        file.seek(0)
        with open_image(file, max_pixels) as image:
            return _looked_at(image, digest, size)


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
    """By libjpeg's rule: the standard table times 2 - q / 50, or 50 / q below a q of 50."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    table = tables.get(0)
    if not table:
        return 0
    scale = sum(table) / _JPEG_SUM
    quality = 100 - 50 * scale if scale <= 1 else 50 / scale
    return min(100, max(1, round(quality)))


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
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # whatever is wrong after the first frame
        return False
