"""Each class equally often: the classes take turns, and so do the images of a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finetune.data.images import Key
from finetune.data.randomness import Purpose, derived_seed, scrambled

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassTurns:
    """What epochs show where classes count equally: a pure function of seed, phase and epoch.

    Each class goes through its images in rounds, in a new order each round, and goes on in the next
    epoch where it stopped: no image is shown a second time before all others of its class were.
    A round takes the place of the epoch in an image's key, so that no two showings of an image in
    a phase have the same key.

    Attributes:
        labels: Class indices ``[N]``; classes without an image have no turn.
        images: How many images an epoch shows.
    """

    labels: npt.NDArray[np.int64]
    images: int

    def keys(self, seed: int, phase: int, epoch: int) -> list[Key]:
        """The keys of an epoch's images, ``images`` of them; class by class in turn."""
        found = np.empty((self.images, 2), dtype=np.int64)
        first, classes = epoch * self.images, len(self._members)
        for turn, members in enumerate(self._members):
            start = (turn - first) % classes
            slots = np.arange(first + start, first + self.images, classes)
            rounds, places = np.divmod(slots // classes, len(members))
            for number in np.unique(rounds):
                key = derived_seed(seed, Purpose.CLASS_ROUND, phase, turn, int(number))
                order = np.argsort(scrambled(members.astype(np.uint64), key), kind="stable")
                chosen = np.flatnonzero(rounds == number)
                found[start + chosen * classes, 0] = members[order[places[chosen]]]
            found[start::classes, 1] = rounds
        return [Key(position, number, 0) for position, number in found.tolist()]

    def times(self, epochs: int) -> Places:
        """How often each image is shown in so many epochs at most, ``[N]``."""
        return self._spread(epochs * self.images)

    def views(self, views: int) -> Places:
        """How many views each image has, ``[N]``: ``views`` for each time an epoch shows it.

        So all images together have hardly more views than if each were shown once an epoch.
        """
        return self._spread(views * self.images)

    def _spread(self, shown: int) -> Places:
        """``shown`` images dealt out to the classes and to their images, rounded up, ``[N]``."""
        counts = np.zeros(len(self.labels), dtype=np.int64)
        for members in self._members:
            counts[members] = -(-shown // (len(self._members) * len(members)))
        return counts

    @cached_property
    def _members(self) -> tuple[Places, ...]:
        return tuple(self._of_each_class())

    def _of_each_class(self) -> Iterator[Places]:
        order = np.argsort(self.labels, kind="stable")
        ends = np.flatnonzero(np.diff(self.labels[order])) + 1
        return iter(np.split(order, ends))
