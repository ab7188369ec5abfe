"""From the bytes of a file to pixels: Pillow, six formats, and no other decoder.

Whatever the bytes, the outcome is an 8-bit RGB picture or `UnreadableImage` with a reason.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from finetune.data.colour import to_rgb
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow's names of the formats that are opened; JPEG takes in MPO, which has further pictures."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
)
"""Endings, in lower case, by which a folder's images are known; the content decides the rest."""

_OPENING = threading.Lock()


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
    with _unreadable_if_it_fails(path), _open_file(path) as file:
        yield file


def open_image(file: io.BufferedReader, max_pixels: int) -> Image.Image:
    """The image in ``file``, its header read and its pixels not.

    Raises:
        UnreadableImage: It has more than ``max_pixels`` pixels.
    """
    image = _open_image(file)
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImage(
            f"{width:,} x {height:,} pixels, over data.max_pixels ({max_pixels:,})"
        )
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


@contextmanager
def _unreadable_if_it_fails(path: Path) -> Iterator[None]:
    try:
        with without_warnings():
            yield
    except UnreadableImage:
        raise
    except Exception as error:  # decoders fail on damaged bytes in every way there is
        raise UnreadableImage(_reason(path, error)) from error


def _open_file(path: Path) -> io.BufferedReader:
    # Not blocking: opening a named pipe would otherwise wait for somebody to write to it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    state = os.fstat(descriptor)
    if stat.S_ISREG(state.st_mode) and state.st_size > 0:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise UnreadableImage("empty file" if stat.S_ISREG(state.st_mode) else "not a regular file")


def _open_image(file: io.BufferedReader) -> Image.Image:
    with _OPENING:  # our own limit stands in for Pillow's, which is one for the whole process
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF is no reason to lose the picture
        return image


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "broken link" if path.is_symlink() else "no such file"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "broken link"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, UnidentifiedImageError):
        return "not an image of the formats JPEG, PNG, WebP, BMP, TIFF, GIF"
    if "truncated" in str(error).casefold() or isinstance(error, EOFError):
        return "truncated: the end of the image is missing"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"can't be decoded: {printable(detail.splitlines()[0][:120])}"
