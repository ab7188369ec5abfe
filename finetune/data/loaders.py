"""Loaders that hand out what workers made, and say in this process what they could not read."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from finetune.data.fitting import Pixels
from finetune.data.images import ImageFiles, Key, Sample
from finetune.data.transfer import to_device
from finetune.errors import DataError, FinetuneError
from finetune.text import printable


@dataclass(frozen=True)
class Batch:
    """Images as the network's input before normalisation.

    Attributes:
        images: uint8 ``[N, size, size, 3]``, RGB.
        labels: int64 ``[N]``; -1 where not known.
        indices: int64 ``[N]``, positions in the items that the loader was given.
        errors: N reasons why a file could not be read (its image is black then), or ``""``.
    """

    images: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    errors: tuple[str, ...]

    @property
    def inputs(self) -> torch.Tensor:
        """What a network takes: the images."""
        return self.images

    def to(self, device: torch.device) -> Batch:
        """The same on ``device``, but for the indices."""
        images, labels = (to_device(each, device) for each in (self.images, self.labels))
        return replace(self, images=images, labels=labels)

    def pin_memory(self) -> Batch:
        """The same in page-locked memory; the DataLoader calls it where there is a GPU."""
        return replace(
            self,
            images=self.images.pin_memory(),
            labels=self.labels.pin_memory(),
            indices=self.indices.pin_memory(),
        )


class StrictLoader(DataLoader[Any]):
    """Raises what its workers found, in the process that iterates."""

    def __iter__(self) -> Any:
        return self._judged(super().__iter__())

    def _judged(self, batches: Iterator[Batch | FinetuneError]) -> Iterator[Batch]:
        for batch in batches:
            if isinstance(batch, FinetuneError):
                try:
                    raise batch
                finally:
                    # An error that its own traceback holds would keep the workers alive.
                    del batch
            self.judge(batch)
            yield self.given(batch)

    def given(self, batch: Any) -> Any:
        """What is handed on of a batch."""
        return batch

    def judge(self, batch: Batch) -> None:
        """Raise an error that names the first file that could not be read, if there is one."""
        for position, error in zip(batch.indices.tolist(), batch.errors, strict=True):
            if error:
                path = self.dataset.path(position)  # type: ignore[attr-defined]
                raise DataError(
                    f"can't be read any more: {error}",
                    where=printable(str(path)),
                    mend="It was readable when DATA was looked at. Put it back and resume.",
                )


class EpochLoader(DataLoader[Any]):
    """Each pass is the next epoch of its sampler."""

    def __iter__(self) -> Any:
        # Counted here: with workers, a DataLoader begins its first pass over the sampler twice.
        batches = super().__iter__()
        sampler: Any = self.batch_sampler
        sampler.set_epoch(sampler.epoch + 1)
        return batches


class TrainLoader(EpochLoader, StrictLoader):
    """Each pass is the next epoch, and stops at what can't be read."""


@dataclass(frozen=True)
class _Pictures:
    images: list[Pixels]
    indices: torch.Tensor
    errors: tuple[str, ...]


class PictureLoader(StrictLoader):
    """Hands on pictures and nothing else."""

    def given(self, batch: Any) -> Any:
        """The pictures."""
        return batch.images


class TolerantLoader(StrictLoader):
    """Writes down the reasons where files can't be read, and goes on."""

    def __init__(self, images: ImageFiles, errors: list[str], **options: Any) -> None:
        super().__init__(images, **options)
        self._errors = errors

    def judge(self, batch: Batch) -> None:
        """Write down the batch's errors."""
        for position, error in zip(batch.indices.tolist(), batch.errors, strict=True):
            self._errors[position] = error


def loader_options(batches: Sampler[list[Key]], workers: int) -> dict[str, Any]:
    """What every loader is made with: ``batches`` says what, ``workers`` processes make it."""
    return {
        "batch_sampler": batches,
        "num_workers": workers,
        "collate_fn": _collated,
        "worker_init_fn": _start_worker,
        "pin_memory": torch.cuda.is_available(),
        "persistent_workers": workers > 0,
        # Its own: the loader draws a seed for its workers from it, which nothing here uses.
        "generator": torch.Generator(),
    }


def picture_options(batches: Sampler[list[Key]], workers: int) -> dict[str, Any]:
    """The same, for pictures of any size."""
    return loader_options(batches, workers) | {"collate_fn": _listed}


def _good(samples: list[Sample | FinetuneError]) -> list[Sample] | FinetuneError:
    fault = next((sample for sample in samples if isinstance(sample, FinetuneError)), None)
    return fault or [sample for sample in samples if isinstance(sample, Sample)]


def _listed(samples: list[Sample | FinetuneError]) -> _Pictures | FinetuneError:
    good = _good(samples)
    if isinstance(good, FinetuneError):
        return good
    return _Pictures(
        [sample.image for sample in good],
        torch.tensor([sample.position for sample in good], dtype=torch.int64),
        tuple(sample.error for sample in good),
    )


def _collated(samples: list[Sample | FinetuneError]) -> Batch | FinetuneError:
    good = _good(samples)
    if isinstance(good, FinetuneError):
        return good
    return Batch(
        torch.from_numpy(np.stack([sample.image for sample in good])),
        torch.tensor([sample.label for sample in good], dtype=torch.int64),
        torch.tensor([sample.position for sample in good], dtype=torch.int64),
        tuple(sample.error for sample in good),
    )


def _start_worker(_: int) -> None:
    # A terminal and a batch system send these to all processes alike, and the one that trains needs
    # its batches up to the next step. It ends its workers itself; where it can't, they notice.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    if "cv2" in sys.modules:  # with augmentation only
        sys.modules["cv2"].setNumThreads(0)
