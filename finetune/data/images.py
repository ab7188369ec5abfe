"""Images by key: what a worker process makes, with no memory of what it made before."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from finetune.data.files.decoding import UnreadableImage, decode
from finetune.data.fitting import Pixels, fit_image
from finetune.data.input_spec import InputSpec
from finetune.errors import FinetuneError


class Key(NamedTuple):
    """What to make: the image's position among the items, in which epoch, for which time.

    Where classes take turns (`finetune.data.turns`), the epoch is the round of the image's class.
    """

    position: int
    epoch: int
    occurrence: int


class Sample(NamedTuple):
    """An image as the network's input; black, with an error, where it can't be read."""

    image: Pixels
    label: int
    position: int
    error: str


class View(Protocol):
    """Makes the network's input of a picture, in two steps; the first is the same for all keys."""

    def prepared(self, image: Pixels) -> Pixels:
        """What is made of the decoded picture, whatever the key."""

    def __call__(self, prepared: Pixels, key: Key) -> Pixels:
        """The input ``[size, size, 3]`` for a key."""


class Augmenting(Protocol):
    """What this module wants of an augmentation."""

    def prepared(self, image: Pixels) -> Pixels:
        """What all views of a decoded picture are made of."""

    def __call__(self, prepared: Pixels, sample: int, epoch: int, occurrence: int) -> Pixels:
        """A view ``[size, size, 3]``."""


Kept = Callable[[int], Pixels | None]
"""Prepared pictures that lie somewhere, by position; None: this one doesn't."""


@dataclass(frozen=True)
class TrainView:
    """A training view of a picture.

    Attributes:
        augmentation: Makes it.
        samples: The keys of all images, ``[N]``.
        views: How many each image has, ``[N]``; the epochs walk over them. None: a new one each
            epoch.
    """

    augmentation: Augmenting
    samples: npt.NDArray[np.uint64]
    views: npt.NDArray[np.int64] | None = None

    def prepared(self, image: Pixels) -> Pixels:
        """What all its views are made of."""
        return self.augmentation.prepared(image)

    def __call__(self, prepared: Pixels, key: Key) -> Pixels:
        """The view that ``key`` asks for."""
        sample = int(self.samples[key.position])
        if self.views is None:
            return self.augmentation(prepared, sample, key.epoch, key.occurrence)
        number = view_number(key, int(self.views[key.position]))
        return self.augmentation(prepared, sample, number, 0)


def view_number(key: Key, views: int) -> int:
    """Which of its ``views`` an image shows: another one each time, until all were shown."""
    return (key.epoch + key.occurrence) % views


@dataclass(frozen=True)
class Unvaried:
    """What all views of a picture are made of, as it is: of any size."""

    augmentation: Augmenting

    def prepared(self, image: Pixels) -> Pixels:
        """The prepared picture."""
        return self.augmentation.prepared(image)

    def __call__(self, prepared: Pixels, key: Key) -> Pixels:
        """The same."""
        return prepared


@dataclass(frozen=True)
class EvalView:
    """A picture as scoring and prediction see it."""

    spec: InputSpec

    def prepared(self, image: Pixels) -> Pixels:
        """The picture, fitted."""
        return fit_image(image, self.spec)

    def __call__(self, prepared: Pixels, key: Key) -> Pixels:
        """The same."""
        return prepared


class ImageFiles(Dataset[Sample | FinetuneError]):
    """Images by key. Paths lie in one block of bytes: a million of them pickle in no time.

    The last picture is remembered, for keys that ask for several views of one image in a row.
    """

    def __init__(
        self,
        files: Sequence[Path],
        labels: npt.NDArray[np.int64],
        view: View,
        size: int,
        max_pixels: int,
        kept: Kept | None = None,
    ) -> None:
        encoded = [os.fsencode(file) for file in files]
        self._paths = b"".join(encoded)
        self._ends = np.cumsum([len(path) for path in encoded], dtype=np.int64)
        self._labels, self._view, self._size = labels, view, size
        self._max_pixels, self._kept = max_pixels, kept
        self._last: tuple[int, Pixels] | None = None

    def __len__(self) -> int:
        return len(self._labels)

    def path(self, position: int) -> Path:
        """Where the image lies."""
        start = int(self._ends[position - 1]) if position else 0
        return Path(os.fsdecode(self._paths[start : int(self._ends[position])]))

    def __getitem__(self, key: Key) -> Sample | FinetuneError:
        label = int(self._labels[key.position])
        try:
            image = self._view(self._prepared(key.position), key)
        except UnreadableImage as error:
            black = np.zeros((self._size, self._size, 3), np.uint8)
            return Sample(black, label, key.position, error.reason)
        except FinetuneError as error:
            return error  # raised in a worker, it would reach the user inside a traceback
        return Sample(image, label, key.position, "")

    def _prepared(self, position: int) -> Pixels:
        if self._last is None or self._last[0] != position:
            self._last = position, self._made(position)
        return self._last[1]

    def _made(self, position: int) -> Pixels:
        kept = self._kept(position) if self._kept is not None else None
        if kept is not None:
            return kept
        return self._view.prepared(decode(self.path(position), self._max_pixels))
