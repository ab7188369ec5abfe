"""The pictures that a run keeps, so that its report needs neither DATA nor the network."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from finetune.console import Reporter
from finetune.data.manifest import Item, Manifest
from finetune.files import replacing
from finetune.report.thumbnails import LONGER_SIDE, Thumbnail, make_thumbnails
from finetune.run import RunDirectory

_DIGEST = re.compile("[0-9a-f]{64}")
_HEAT = ".heat"
_MOST_BYTES = 2**13


def keep_thumbnails(
    run: RunDirectory,
    manifest: Manifest,
    paths: Sequence[str],
    max_pixels: int,
    reporter: Reporter,
) -> None:
    """Write thumbnails of images, each by the digest of its file.

    Args:
        run: Where they are kept.
        manifest: Of DATA as it was trained on.
        paths: Of the images.
        max_pixels: As ``data.max_pixels``.
        reporter: Told how many are made.
    """
    digests = {item.path: item.digest for item in manifest.items}
    made = make_thumbnails(manifest.root, paths, max_pixels, reporter)
    for path, picture in made.items():
        if picture is not None:
            _write(_place(run, digests[path]), picture.data)


def keep_heat(run: RunDirectory, digest: str, picture: bytes) -> None:
    """Write a small picture with heat, a WebP file's bytes, of the image with this digest."""
    _write(_place(run, digest, _HEAT), picture)


def read_thumbnails(run: RunDirectory, items: Sequence[Item]) -> Mapping[str, Thumbnail | None]:
    """The thumbnails of these files by path; None where none is kept."""
    return {item.path: _read(_place(run, item.digest)) for item in items}


def read_heat(run: RunDirectory, items: Sequence[Item]) -> Mapping[str, Thumbnail]:
    """The pictures with heat that are kept of these files, by path."""
    found = {item.path: _read(_place(run, item.digest, _HEAT)) for item in items}
    return {path: picture for path, picture in found.items() if picture is not None}


def _place(run: RunDirectory, digest: str, kind: str = "") -> Path | None:
    """Where a picture lies; a digest that is none, in an edited list, names no file."""
    return run.images / f"{digest}{kind}.webp" if _DIGEST.fullmatch(digest) else None


def _write(place: Path | None, picture: bytes) -> None:
    if place is not None:
        with replacing(place) as temporary:
            temporary.write_bytes(picture)


def _read(path: Path | None) -> Thumbnail | None:
    """What is no small WebP picture isn't shown: the folder may have been handed around."""
    if path is None or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return None
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as picture:
            size = picture.size
    except OSError:
        return None
    return Thumbnail(data, *size) if max(size) <= LONGER_SIDE else None
