"""Images by key: what a worker process makes, with no memory of what it made before."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from finetune.data.decoding import UnreadableImage, decode
from finetune.data.fitting import Pixels, fit_image
from finetune.data.input_spec import InputSpec
from finetune.errors import FinetuneError


class Key(NamedTuple):
    """What to make: the image's position among the items, in which epoch, for which time."""

    position: int
    epoch: int
    occurrence: int


class Sample(NamedTuple):
    """An image as the network's input; black, with an error, where it can't be read."""

    image: Pixels
    label: int
    position: int
    error: str


@dataclass(frozen=True)
class TrainView:
    """A training view of a picture, by the keys of all images, ``[N]``."""

    augmentation: Callable[[Pixels, int, int, int], Pixels]
    samples: npt.NDArray[np.uint64]

    def __call__(self, image: Pixels, key: Key) -> Pixels:
        """The view of a decoded picture that ``key`` asks for."""
        sample = int(self.samples[key.position])
        return self.augmentation(image, sample, key.epoch, key.occurrence)


@dataclass(frozen=True)
class EvalView:
    """A picture as scoring and prediction see it."""

    spec: InputSpec

    def __call__(self, image: Pixels, key: Key) -> Pixels:
        """The picture, fitted."""
        return fit_image(image, self.spec)


class ImageFiles(Dataset[Sample | FinetuneError]):
    """Images by key. Paths lie in one block of bytes: a million of them pickle in no time."""

    def __init__(
        self,
        files: Sequence[Path],
        labels: npt.NDArray[np.int64],
        view: Callable[[Pixels, Key], Pixels],
        size: int,
        max_pixels: int,
    ) -> None:
        encoded = [os.fsencode(file) for file in files]
        self._paths = b"".join(encoded)
        self._ends = np.cumsum([len(path) for path in encoded], dtype=np.int64)
        self._labels, self._view, self._size = labels, view, size
        self._max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self._labels)

    def path(self, position: int) -> Path:
        """Where the image lies."""
        start = int(self._ends[position - 1]) if position else 0
        return Path(os.fsdecode(self._paths[start : int(self._ends[position])]))

    def __getitem__(self, key: Key) -> Sample | FinetuneError:
        label = int(self._labels[key.position])
        try:
            image = self._view(decode(self.path(key.position), self._max_pixels), key)
        except UnreadableImage as error:
            black = np.zeros((self._size, self._size, 3), np.uint8)
            return Sample(black, label, key.position, error.reason)
        except FinetuneError as error:
            return error  # raised in a worker, it would reach the user inside a traceback
        return Sample(image, label, key.position, "")
