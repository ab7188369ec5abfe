"""The search for near-duplicates: candidates from the neighbours, compared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from finetune.data.copies.crops import CROPS
from finetune.data.copies.fingerprints import Thumbnails
from finetune.data.copies.likeness import Looks, compare
from finetune.data.copies.neighbours import Codes, Neighbours, codes
from finetune.data.copies.reliefs import reliefs, waves
from finetune.environment import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from finetune.console import Reporter

    Indices = npt.NDArray[np.int64]

_AT_A_TIME = 1024
"""Pictures that are looked for together, and pairs that are compared together."""

_THREADS = 8
"""Each has up to a hundred megabytes under way."""


def near_pairs(
    fingerprints: npt.NDArray[np.uint8], reporter: Reporter
) -> list[tuple[int, int, float]]:
    """Near-duplicates among fingerprints ``[N, F]``: places, the lower one first, and likeness.

    Every picture is looked for as each of `CROPS` among all as they are.
    """
    count = len(fingerprints)
    found: dict[tuple[int, int], float] = {}
    if count < 2:
        return []
    known = Neighbours(np.concatenate([_codes(fingerprints[part]) for part in _parts(count)]))

    def search(part: slice) -> list[tuple[int, int, float]]:
        return list(_found(fingerprints, part, known))

    with (
        # Threads for the pictures, not within products of small matrices, where they only wait.
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(min(_THREADS, usable_cores())) as pool,
        reporter.task("Looking for near-duplicates", count, "images") as task,
    ):
        parts = list(_parts(count))
        for part, pairs in zip(parts, pool.map(search, parts), strict=True):
            for one, other, likeness in pairs:
                key = (min(one, other), max(one, other))
                found[key] = max(likeness, found.get(key, likeness))
            task.advance(part.stop - part.start)
    return [(one, other, likeness) for (one, other), likeness in sorted(found.items())]


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, _AT_A_TIME):
        yield slice(start, min(start + _AT_A_TIME, count))


def _codes(fingerprints: npt.NDArray[np.uint8]) -> Codes:
    return codes(waves(reliefs(Thumbnails.of(fingerprints).grey), CROPS[0]))


def _found(
    fingerprints: npt.NDArray[np.uint8], part: slice, known: Neighbours
) -> Iterator[tuple[int, int, float]]:
    own = Looks.of(Thumbnails.of(fingerprints[part]))
    rows, others, crops = _candidates(own, part.start, known)
    for start in range(0, len(rows), _AT_A_TIME):
        chosen = slice(start, start + _AT_A_TIME)
        them, back = np.unique(others[chosen], return_inverse=True)
        looks = Looks.of(Thumbnails.of(fingerprints[them]))
        likeness, near = compare(own[rows[chosen]], looks[back], crops[chosen])
        for place in np.flatnonzero(near):
            at = start + int(place)
            yield part.start + int(rows[at]), int(others[at]), float(likeness[place])


def _candidates(own: Looks, start: int, known: Neighbours) -> tuple[Indices, Indices, Indices]:
    """What to compare: places in ``own``, places among all, and as which crop.

    A pair that is near as several crops is compared as each: which fits best the codes can't tell.
    """
    met = [known.nearest(codes(waves(own.relief, crop))) for crop in CROPS]
    crops = np.repeat(np.arange(len(CROPS)), [len(rows) for rows, _ in met])
    rows, others = (np.concatenate(column) for column in zip(*met, strict=True))
    apart = rows + start != others
    return rows[apart], others[apart], crops[apart]
