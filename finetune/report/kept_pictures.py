"""The thumbnails that a run keeps, so that its report needs DATA no more."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from finetune.console import Reporter
from finetune.data.manifest import Item, Manifest
from finetune.evaluation.table import read_predictions
from finetune.files import replacing
from finetune.report.answers import answers, pictured
from finetune.report.thumbnails import LONGER_SIDE, Thumbnail, make_thumbnails
from finetune.run import RunDirectory

_DIGEST = re.compile("[0-9a-f]{64}")
_MOST_BYTES = 2**16


def keep_pictures(
    run: RunDirectory, manifest: Manifest, split: str, max_pixels: int, reporter: Reporter
) -> None:
    """Write thumbnails of the images that a report shows, each by the digest of its file.

    Args:
        run: With its predictions.
        manifest: Of DATA as it was trained on.
        split: The part that was scored.
        max_pixels: As ``data.max_pixels``.
        reporter: Told how many are made.
    """
    paths = pictured(answers(read_predictions(run.predictions), split))
    digests = {item.path: item.digest for item in manifest.items}
    made = make_thumbnails(manifest.root, paths, max_pixels, reporter)
    for path, picture in made.items():
        place = _place(run, digests[path])
        if picture is not None and place is not None:
            with replacing(place) as temporary:
                temporary.write_bytes(picture.data)


def read_pictures(run: RunDirectory, items: Sequence[Item]) -> Mapping[str, Thumbnail | None]:
    """The thumbnails of these files by path; None where none is kept."""
    return {item.path: _read(_place(run, item.digest)) for item in items}


def _place(run: RunDirectory, digest: str) -> Path | None:
    """Where a thumbnail lies; a digest that is none, in an edited list, names no file."""
    return run.images / f"{digest}.webp" if _DIGEST.fullmatch(digest) else None


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
