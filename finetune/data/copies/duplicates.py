"""Images that are the same or nearly: pairs of them, and the clusters that the pairs make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from finetune.data.copies.fingerprints import stacked
from finetune.data.copies.searching import near_pairs

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    import numpy.typing as npt

    from finetune.console import Reporter

    Indices = npt.NDArray[np.int64]

_CROWD = 50
"""More images than are made of one by hand or by a burst of a camera."""

_STRICTER = (0.9, 0.95, 0.98, 0.99, 0.995, 1.0)
"""Likenesses below which links of a crowd are cut, one after the other."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images that are the same or nearly.

    Attributes:
        first: The place of one, the lower one.
        second: The place of the other.
        kind: ``exact`` where the files have the same bytes.
        likeness: How alike they look: 1 for the same, about 0 for any two photographs; the
            correlation of their detail.
    """

    first: int
    second: int
    kind: Literal["exact", "near"]
    likeness: float


def duplicate_pairs(
    digests: Sequence[str], fingerprints: Sequence[bytes], reporter: Reporter
) -> list[Pair]:
    """Pairs of images that are the same or nearly, enough of them to join each cluster.

    Images with the same digest are all paired with the first of them, which alone is compared with
    others; images with the same fingerprint likewise. So identical images make as many pairs
    as images, however many there are.

    Args:
        digests: Of the files' bytes, ``[N]``; empty for an image that takes no part.
        fingerprints: By `fingerprint`, ``[N]``; empty for an image that is only compared by digest.
        reporter: Shown how far the work is.
    """
    exact = list(_same([place for place, digest in enumerate(digests) if digest], digests))
    pairs = [Pair(first, place, "exact", 1.0) for first, *others in exact for place in others]
    firsts = [first for first, *_ in exact if fingerprints[first]]
    alike = list(_same(firsts, fingerprints))
    pairs += [Pair(first, place, "near", 1.0) for first, *others in alike for place in others]
    alike.sort(key=lambda places: fingerprints[places[0]])  # whatever the order they came in
    values = stacked([fingerprints[first] for first, *_ in alike])
    for one, other, likeness in near_pairs(values, reporter):
        first, second = sorted((alike[one][0], alike[other][0]))
        pairs.append(Pair(first, second, "near", likeness))
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def _same(places: Sequence[int], keys: Sequence[Hashable]) -> Iterator[list[int]]:
    """Places by equal keys, each in ascending order, in the order of their first."""
    groups: dict[Hashable, list[int]] = {}
    for place in places:
        groups.setdefault(keys[place], []).append(place)
    yield from groups.values()


def clusters(pairs: Sequence[Pair], count: int) -> list[list[int]]:
    """Images that hang together by pairs: clusters of two and more, members ascending.

    Links of one image to the next can chain pictures that are not alike at all, most of all where
    all pictures of a set look much the same (parts before a fixed camera). So of clusters of more
    than 50 the weakest links are cut, step by step, until no more than that hang together or
    what hangs together is the same.

    Args:
        pairs: As `duplicate_pairs` gives them.
        count: How many images there are.
    """
    first = np.array([pair.first for pair in pairs], np.int64)
    second = np.array([pair.second for pair in pairs], np.int64)
    likeness = np.array([pair.likeness for pair in pairs])
    kept = np.ones(len(pairs), bool)
    for least in _STRICTER:
        labels = _labels(first[kept], second[kept], count)
        crowded = np.bincount(labels, minlength=1)[labels] > _CROWD
        kept &= ~(crowded[first] & (likeness < least))
    labels = _labels(first[kept], second[kept], count)
    groups = _same(range(count), labels.tolist())
    return [members for members in groups if len(members) > 1]


def _labels(first: Indices, second: Indices, count: int) -> npt.NDArray[np.int32]:
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    return connected_components(graph, directed=False)[1]
