"""From the bytes of a file to pixels: Pillow, six formats, and no other decoder.

Whatever the bytes, the outcome is an 8-bit RGB picture or `UnreadableImage` with a reason.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from finetune.data.files.colour import to_rgb
from finetune.data.files.limits import (
    largest_piece,
    too_many_bytes,
    too_many_pixels,
    webp_canvas,
    webp_is_cut_off,
)
from finetune.data.files.reasons import TRUNCATED, not_decoded, not_opened
from finetune.data.files.signatures import BEGINNING, unidentified

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow's names of the formats that are opened; JPEG takes in MPO, which has further pictures."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
)
"""Endings, in lower case, by which a folder's images are known; the content decides the rest."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF's orientation

# Pillow logs what it thinks of odd files; without a handler Python shows that on stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def suffix(name: str) -> str:
    """The ending of a file's name in lower case; blanks and dots behind it don't count."""
    stem, _, ending = name.rstrip(" .").rpartition(".")  # a Path takes ten times as long
    return f".{ending}".lower() if stem and ending else ""


class UnreadableImage(Exception):
    """A file that no picture can be had from.

    Args:
        reason: Why, in a few words that are safe to show.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(path: Path, max_pixels: int) -> npt.NDArray[np.uint8]:
    """The picture in a file, upright, as RGB ``[H, W, 3]``.

    The first frame where there are several; transparency lies on white; EXIF orientation is
    applied; 16-bit grey is divided by 257.

    Raises:
        UnreadableImage: The file can't be read, is no image of the formats, is damaged, or has
            more than ``max_pixels`` pixels (judged by its header, before they are decoded).
    """
    with opened(path) as file, open_image(file, max_pixels) as image:
        return np.array(upright_rgb(image))


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """A file to read from; whatever fails in the body is `UnreadableImage` with its reason.

    Raises:
        UnreadableImage: It can't be opened, is empty or no regular file, or the body failed.
    """
    with _open_file(path) as file, without_warnings(), _LIMIT.lifted():
        try:
            yield file
        except UnreadableImage:
            raise
        except Exception as error:  # decoders fail on damaged bytes in every way there is
            raise UnreadableImage(not_decoded(error)) from error


def open_image(file: io.BufferedReader, max_pixels: int) -> Image.Image:
    """The image in ``file``, its header read and its pixels not.

    Raises:
        UnreadableImage: It is no image of the formats, has more than ``max_pixels`` pixels, or
            more bytes than such a picture can need.
    """
    beginning, size = file.peek(BEGINNING)[:BEGINNING], os.fstat(file.fileno()).st_size
    _refuse(too_many_bytes(size, max_pixels))
    _refuse(too_many_pixels(*webp_canvas(beginning), max_pixels))
    _refuse(TRUNCATED if webp_is_cut_off(beginning, size) else "")
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableImage(unidentified(beginning)) from error
    _refuse(too_many_pixels(*largest_piece(image), max_pixels))
    return image


def upright_rgb(image: Image.Image) -> Image.Image:
    """The first frame as it is meant to be seen: decoded, turned as EXIF says, 8-bit RGB."""
    image.load()
    return to_rgb(_upright(image))


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep Pillow's warnings about odd files to ourselves.

    Python's warning filters belong to the whole process: where several threads decode, the
    thread that started them holds this too, so that the filters are the same afterwards.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _PillowsLimit:
    """Pillow's own pixel limit, one for the whole process, lifted while ours stands in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limit: int | None = None

    @contextmanager
    def lifted(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    Image.MAX_IMAGE_PIXELS = self._limit


_LIMIT = _PillowsLimit()


def _open_file(path: Path) -> io.BufferedReader:
    # Looked at before it is opened: opening a device can have an effect.
    try:
        _refuse(_no_file(os.stat(path)))  # noqa: PTH116 - Path.stat is slower
        # Not blocking: opening a named pipe would otherwise wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise UnreadableImage(not_opened(path, error)) from error
    file = os.fdopen(descriptor, "rb")
    if reason := _no_file(os.fstat(descriptor)):  # it may have become something else
        file.close()
        raise UnreadableImage(reason)
    return file


def _no_file(state: os.stat_result) -> str:
    if stat.S_ISDIR(state.st_mode):
        return "a folder, not a file"
    if not stat.S_ISREG(state.st_mode):
        return "not a regular file"
    return "" if state.st_size else "empty file"


def _refuse(reason: str) -> None:
    if reason:
        raise UnreadableImage(reason)


def _upright(image: Image.Image) -> Image.Image:
    turn = None
    with suppress(Exception):  # damaged EXIF is no reason to lose the picture
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)
