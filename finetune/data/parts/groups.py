"""Images that must not be parted: groups from several sources, joined where they share an image.

A group of a source is a name with the places of its images. Two groups that have an image in
common are one, and so on from group to group: connected components.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from finetune.data.manifest import Item

Groups = Mapping[str, Sequence[int]]
"""Places of images by the name of their group."""

NEAR = "near: "
"""What the names of groups begin with that likeness alone made."""


def joined(items: Sequence[Item], sources: Iterable[Groups]) -> list[Item]:
    """``items`` with one group each at most: what their own groups and ``sources`` come to.

    A group of several names has the first of them in sorting, of the first source that has one;
    the items' own come before ``sources``. So names hang neither on the order of the items nor on
    that within a source. Items that are not ok join nothing and stay as they are.

    Args:
        items: Their ``group`` is the first source.
        sources: Further groups, by places in ``items``; one may overlap with another.
    """
    own = _among_ok(own_groups(items), items, fewest=1)
    every = [own, *(_among_ok(groups, items, fewest=2) for groups in sources)]
    component = _components(len(items), every)
    names = _names(component, every)
    numbered = zip(items, component.tolist(), strict=True)
    return [_named(item, names.get(number, "")) for item, number in numbered]


def own_groups(items: Sequence[Item]) -> dict[str, list[int]]:
    """The groups that the items themselves name."""
    return by_name(item.group for item in items)


def near_groups(items: Sequence[Item], clusters: Iterable[Sequence[int]]) -> dict[str, list[int]]:
    """Clusters of near-duplicates, each under the first of its paths."""
    groups: dict[str, list[int]] = defaultdict(list)
    for cluster in clusters:
        groups[f"{NEAR}{min(items[place].path for place in cluster)}"].extend(cluster)
    return groups


def by_name(names: Iterable[str]) -> dict[str, list[int]]:
    """Groups from a name for each image; the empty name is none."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name:
            groups.setdefault(name, []).append(place)
    return groups


def _named(item: Item, name: str) -> Item:
    """``item`` with its component's name; one that is not ok is in none and keeps its own."""
    return item if item.status != "ok" or item.group == name else replace(item, group=name)


def _among_ok(groups: Groups, items: Sequence[Item], fewest: int) -> dict[str, list[int]]:
    """The groups less what is not ok, where ``fewest`` images are left."""
    ok = {name: [p for p in places if items[p].status == "ok"] for name, places in groups.items()}
    return {name: places for name, places in ok.items() if len(places) >= fewest}


def _components(count: int, sources: Iterable[Groups]) -> npt.NDArray[np.int64]:
    """The number of each image's component, ``[N]``; images without a group have their own."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups = [places for source in sources for places in source.values()]
    lengths = [len(places) for places in groups]
    members = np.fromiter(chain.from_iterable(groups), np.int64, sum(lengths))
    firsts = np.repeat(np.array([places[0] for places in groups], np.int64), lengths)
    edges = coo_array((np.ones(len(members)), (firsts, members)), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1], np.int64)


def _names(component: npt.NDArray[np.int64], sources: Iterable[Groups]) -> dict[int, str]:
    """The name of each component that has one."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for source in sources:
        for name in sorted(source):
            number = int(component[source[name][0]])
            if number in names:
                continue
            while name in taken:  # another source's, for other images
                name += "'"
            names[number] = name
            taken.add(name)
    return names
