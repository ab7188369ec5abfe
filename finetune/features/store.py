"""What frozen networks made of images, kept on disk by content.

A shelf holds the outputs of one frozen part for one preprocessing; its name is a digest of all that
they depend on. In it lie segments, each written once by one run: the rows, one after another, and
an index that is written last, so that a segment without one counts for nothing. A long computation
leaves a segment a minute. Two runs never write to the same file. A row is known by the digest of
its image's file, and checked against its own checksum when it is read: what was altered or cut
short is thrown away, never used.

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

from finetune.cache import cache_folder, make_private, nearest_existing
from finetune.features.segments import INDEX, ROWS, NewSegment, Row, Segment
from finetune.files import write_json

_ABANDONED = 3600.0
"""Seconds after which a segment that nobody has finished or written to is nobody's."""

_LONGEST = 60.0
"""Seconds after which a segment is finished and another begun: what a crash can cost."""

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
        """The one in the cache of the person who runs this."""
        return cls(cache_folder("features"), budget)

    @property
    def budget(self) -> int:
        """Bytes that all shelves may take together."""
        if self._budget is not None:
            return self._budget
        return min(_MOST, (shutil.disk_usage(nearest_existing(self.root)).free + self.size()) // 10)

    @property
    def writable(self) -> bool:
        """Whether something can be written to it."""
        return os.access(nearest_existing(self.root), os.W_OK | os.X_OK)

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
        """Throw away what was longest unused until ``wanted`` bytes fit; nothing if they can't."""
        self.sweep()
        budget, total, complete = self.budget, self.size(), self.segments()
        if total - sum(segment.size() for segment in complete) + wanted > budget:
            return False
        for segment in complete:
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
    def writing(self, wanted: int) -> Iterator[Writer | None]:
        """Write rows of ``wanted`` bytes together; None where they have no room.

        Rows that were put count, whatever ends the block.
        """
        writer = None
        if self.store.make_room(wanted) and self._prepared(wanted):
            writer = Writer(self.folder, wanted)
        try:
            yield writer
        finally:
            if writer is not None:
                writer.close()

    def _prepared(self, wanted: int) -> bool:
        try:
            make_private(self.store.root).chmod(0o700)
            self.folder.mkdir(exist_ok=True)
            write_json(self.folder / _ABOUT, self.about)
            return shutil.disk_usage(self.folder).free >= wanted
        except OSError:
            return False


class Writer:
    """Writes rows, in segments each of which counts as soon as it is finished.

    Args:
        shelf: The shelf's folder.
        room: Bytes that all rows may take together.

    Attributes:
        failed: Whether a row could not be written. No more are taken then.
    """

    def __init__(self, shelf: Path, room: int) -> None:
        self.failed = False
        self._shelf = shelf
        self._room = room
        self._segment: NewSegment | None = None

    def put(self, rows: Mapping[str, Row]) -> None:
        """Add rows; where the room or the disk is full, none of them."""
        self._room -= sum(row.nbytes for row in rows.values())
        self.failed = self.failed or self._room < 0 or not self._put(rows)
        # Between batches alone: what is gone on with later is computed in the same batches.
        if self._segment and time.monotonic() - self._segment.started > _LONGEST:
            self.close()

    def close(self) -> None:
        """Finish the segment under way."""
        if self._segment is not None:
            self._segment.finish()
            self._segment = None

    def _put(self, rows: Mapping[str, Row]) -> bool:
        try:
            self._segment = self._segment or NewSegment(self._shelf / _new_name())
        except OSError:
            return False
        return self._segment.put(rows)


def _new_name() -> str:
    return f"{time.time_ns():x}-{uuid.uuid4().hex[:8]}"


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
