"""Small pictures that a page carries inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from finetune.console import Reporter
from finetune.data.files.decoding import (
    UnreadableImage,
    open_image,
    opened,
    upright_rgb,
    without_warnings,
)
from finetune.environment import usable_cores

LONGER_SIDE = 120
"""Pixels: enough to see what is on a picture, and a thousand of them are under four megabytes."""

MOST_BYTES = 2_700
"""Of a thumbnail."""

_TRIED = ((LONGER_SIDE, 70), (LONGER_SIDE, 45), (LONGER_SIDE, 20), (96, 20), (96, 1))
"""Pixels and quality, in their order; what has too many bytes is tried with the next."""

_THREADS = 16


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture of at most `LONGER_SIDE` pixels.

    Attributes:
        data: All of it, as WebP.
        width: Pixels.
        height: Pixels.
    """

    data: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        """All of it, as a ``data:`` address."""
        return f"data:image/webp;base64,{base64.b64encode(self.data).decode('ascii')}"


def make_thumbnails(
    root: Path, paths: Sequence[str], max_pixels: int, reporter: Reporter
) -> Mapping[str, Thumbnail | None]:
    """A thumbnail of each file below ``root``, upright; None where it can't be read (any more)."""

    def make(path: str) -> Thumbnail | None:
        try:
            return thumbnail(root / path, max_pixels)
        except UnreadableImage:
            return None

    made: dict[str, Thumbnail | None] = {}
    with (
        reporter.task("Making thumbnails", len(paths), "images") as task,
        without_warnings(),
        ThreadPoolExecutor(min(_THREADS, usable_cores())) as pool,
    ):
        for path, result in zip(paths, pool.map(make, paths), strict=True):
            made[path] = result
            task.advance()
    return made


def thumbnail(path: Path, max_pixels: int) -> Thumbnail:
    """A small picture of a file's; a JPEG is decoded at a reduced size.

    Raises:
        UnreadableImage: As `finetune.data.files.decoding.decode`.
    """
    with opened(path) as file, open_image(file, max_pixels) as image:
        image.draft(image.mode, (2 * LONGER_SIDE, 2 * LONGER_SIDE))
        return small(upright_rgb(image))


def small(picture: Image.Image) -> Thumbnail:
    """An RGB picture made small; coarser too where it has more than `MOST_BYTES`, as of noise."""
    picture = _scaled(picture, LONGER_SIDE)
    for side, quality in _TRIED:
        made = _encoded(_scaled(picture, side), quality)
        if len(made.data) <= MOST_BYTES:
            break
    return made


def _scaled(picture: Image.Image, side: int) -> Image.Image:
    scaled = picture.copy()
    scaled.thumbnail((side, side), Image.Resampling.LANCZOS)
    return scaled


def _encoded(picture: Image.Image, quality: int) -> Thumbnail:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality)
    return Thumbnail(buffer.getvalue(), *picture.size)
