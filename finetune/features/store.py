"""What frozen networks made of images, kept on disk by content.

A shelf holds the outputs of one frozen part for one preprocessing; its name is a digest of all that
they depend on. In it lie segments, each written once by one run: the rows, one after another, and
an index that is written last, so that a segment without one counts for nothing. Two runs never
write to the same file. A row is known by the digest of its image's file, and checked against its
own checksum when it is read: what was altered or cut short is thrown away, never used.

Values are kept in the number format that they were computed in, so that a row comes back as it was
computed, to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from finetune.features.segments import INDEX, ROWS, Row, Segment, Writer
from finetune.files import write_json

PLACE = "FINETUNE_CACHE"
"""The environment variable that names another place for the store."""

_ABANDONED = 3600.0
"""Seconds after which a segment that nobody has finished or written to is nobody's."""

_GIB = 2**30
_MOST = 10 * _GIB
_FORMAT = 2
_ABOUT = "about.json"


class FeatureStore:
    """The shelves below one folder, and the bytes that they may take together.

    Args:
        root: The folder; made with permissions for its owner alone when it is first written to.
        budget: Bytes; None: the smaller of 10 GiB and a tenth of what is free on the disk.
    """

    def __init__(self, root: Path, budget: int | None = None) -> None:
        self.root = root
        self._budget = budget

    @classmethod
    def usual(cls, budget: int | None = None) -> FeatureStore:
        """The one in `PLACE`, or in the platform's folder for caches."""
        named = os.environ.get(PLACE)
        root = Path(named) if named else Path(platformdirs.user_cache_dir("finetune", False))
        return cls(root / "features", budget)

    @property
    def budget(self) -> int:
        """Bytes that all shelves may take together."""
        if self._budget is not None:
            return self._budget
        above = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        return min(_MOST, (shutil.disk_usage(above).free + self.size()) // 10)

    def shelf(self, about: Mapping[str, Any]) -> Shelf:
        """The shelf for outputs that depend on ``about``: JSON types, all of them."""
        text = json.dumps({"format": _FORMAT, **about}, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:32]
        return Shelf(self, self.root / name, dict(about))

    def segments(self) -> list[Segment]:
        """All segments that are complete, the longest unused first."""
        found = [Segment(path.parent) for path in self.root.glob(f"*/*/{INDEX}")]
        return sorted(found, key=Segment.used)

    def size(self) -> int:
        """Bytes of all segments, those that are being written among them."""
        return sum(Segment(path.parent).size() for path in self.root.glob(f"*/*/{ROWS}"))

    def make_room(self, wanted: int) -> bool:
        """Throw away what was longest unused until ``wanted`` bytes fit; whether they do."""
        self.sweep()
        budget = self.budget
        if wanted > budget:
            return False
        total = self.size()
        for segment in self.segments():
            if total + wanted <= budget:
                break
            total -= segment.size()
            segment.remove()
        return True

    def sweep(self) -> None:
        """Remove what runs that are gone have left unfinished."""
        for path in self.root.glob(f"*/*/{ROWS}"):
            if not (path.parent / INDEX).exists() and _age(path) > _ABANDONED:
                shutil.rmtree(path.parent, ignore_errors=True)

    def clear(self) -> int:
        """Remove everything; how many bytes it took."""
        size = self.size()
        if self.root.exists():
            for shelf in self.root.iterdir():
                shutil.rmtree(shelf, ignore_errors=True)
        return size


@dataclass(frozen=True)
class Shelf:
    """Outputs of one frozen part for one preprocessing.

    Attributes:
        store: Where it stands.
        folder: Its own folder.
        about: What its rows depend on.
    """

    store: FeatureStore
    folder: Path
    about: dict[str, Any]

    def holds(self, keys: Sequence[str]) -> set[str]:
        """Those of ``keys`` that are there; not whether they are as they were written."""
        segments = (Segment(path.parent) for path in self.folder.glob(f"*/{INDEX}"))
        return {key for segment in segments for key in segment.holds(keys)}

    def read(self, keys: Sequence[str]) -> dict[str, Row]:
        """The rows of those of ``keys`` that are there and as they were written."""
        found: dict[str, Row] = {}
        for path in sorted(self.folder.glob(f"*/{INDEX}")):
            missing = [key for key in keys if key not in found]
            if missing:
                found |= Segment(path.parent).read(missing)
        return found

    @contextmanager
    def writing(self, count: int, wanted: int) -> Iterator[Writer | None]:
        """Write a segment of ``count`` rows; None where ``wanted`` bytes have no room.

        It counts once the block has ended without an error and all its rows were put.
        """
        writer = self._begin(wanted) if self.store.make_room(wanted) else None
        if writer is None:
            yield None
            return
        try:
            yield writer
            if len(writer.keys) == count and not writer.failed:
                writer.finish()
        finally:
            writer.close()

    def _begin(self, wanted: int) -> Writer | None:
        folder = self.folder / f"{time.time_ns():x}-{uuid.uuid4().hex[:8]}"
        try:
            self.store.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.store.root.chmod(0o700)
            folder.mkdir(parents=True)
            write_json(self.folder / _ABOUT, self.about)
            file = (folder / ROWS).open("xb")
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        if shutil.disk_usage(folder).free < wanted:
            file.close()
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return Writer(folder, file)


def first_places(keys: Sequence[str]) -> dict[str, int]:
    """Where each key stands first, in the order of the keys."""
    places: dict[str, int] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, place)
    return places


def _age(path: Path) -> float:
    """Seconds since the file was last written to; 0 if it is gone."""
    with suppress(OSError):
        return time.time() - path.stat().st_mtime
    return 0.0
