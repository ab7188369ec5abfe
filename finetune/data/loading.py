"""Batches of images from files, by worker processes that hold no state.

A batch sampler hands each worker the keys of what to make: position, epoch and occurrence. What
comes out is a function of these, so that no number of workers changes a pixel or an order.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from finetune.data.batches import EvalBatches, TrainBatches
from finetune.data.images import EvalView, ImageFiles, Key, Sample, TrainView
from finetune.data.input_spec import InputSpec
from finetune.data.manifest import Item, Manifest
from finetune.data.randomness import sample_key
from finetune.environment import usable_cores
from finetune.errors import DataError, FinetuneError
from finetune.recipe.schema import AugmentOptions
from finetune.text import printable

_MOST_WORKERS = 4
_NO_LABEL = -1


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

    def pin_memory(self) -> Batch:
        """The same in page-locked memory; the DataLoader calls it where there is a GPU."""
        return replace(
            self,
            images=self.images.pin_memory(),
            labels=self.labels.pin_memory(),
            indices=self.indices.pin_memory(),
        )


def train_loader(
    manifest: Manifest,
    items: Sequence[Item],
    spec: InputSpec,
    augment: AugmentOptions,
    seed: int,
    phase: int,
    batch_size: int,
    workers: int,
    max_pixels: int,
    first_epoch: int = 0,
    first_batch: int = 0,
) -> DataLoader[Any]:
    """Augmented batches in a new order each epoch; each ``iter()`` of it is the next epoch.

    ``loader.batch_sampler.set_epoch(n)`` makes the next one epoch ``n``. The last batch may be
    smaller; one image left over joins the batch before it.

    Args:
        manifest: Knows the files and the classes.
        items: What to learn from.
        spec: How pictures become inputs.
        augment: How they are varied.
        seed: The recipe's.
        phase: Position of the phase in the recipe.
        batch_size: Images a batch.
        workers: Processes; 0: this one.
        max_pixels: Larger images are not opened.
        first_epoch: Number of the first epoch, when a phase is resumed.
        first_batch: Number of the first batch in that epoch.

    Raises:
        RecipeError: A transform can't be made.
        DataError: When a file that was fine can't be read now; raised in this process.
    """
    # Here, and not above: scoring and predicting need no albumentations, which is slow to import.
    from finetune.data.transforms import Augmentation

    images = ImageFiles(
        [manifest.file(item) for item in items],
        manifest.labels(items),
        TrainView(
            Augmentation(spec, augment, seed, phase),
            np.fromiter((sample_key(item.path) for item in items), np.uint64, len(items)),
        ),
        spec.size,
        max_pixels,
    )
    batches = TrainBatches(len(items), batch_size, seed, phase, first_epoch, first_batch)
    return _TrainLoader(images, **_options(batches, workers))


def eval_loader(
    files: Sequence[Path],
    spec: InputSpec,
    batch_size: int,
    workers: int,
    max_pixels: int,
) -> DataLoader[Any]:
    """Batches of fitted images in the order given.

    Raises:
        DataError: When a file can't be read; raised in this process.
    """
    images = _files(files, spec, max_pixels)
    return _StrictLoader(images, **_options(EvalBatches(len(files), batch_size), workers))


def prediction_loader(
    files: Sequence[Path],
    spec: InputSpec,
    batch_size: int,
    workers: int,
    max_pixels: int,
    errors: list[str],
) -> DataLoader[Any]:
    """As `eval_loader`, for files that nobody has looked at: what can't be read stops nothing.

    Such a file has a black image in its batch, and its reason in the batch's ``errors``.

    Args:
        files: What to read.
        spec: How pictures become inputs.
        batch_size: Images a batch.
        workers: Processes; 0: this one.
        max_pixels: Larger images are not opened.
        errors: A text a file, ``[N]``; filled with the reasons while batches come.
    """
    images = _files(files, spec, max_pixels)
    batches = EvalBatches(len(files), batch_size)
    return _TolerantLoader(images, errors, **_options(batches, workers))


def worker_count(option: Literal["auto"] | int) -> int:
    """Processes for ``data.workers``; auto: one a core beyond the second, 4 at most.

    On two cores a worker would take the time of the threads that train: 10 to 30 % slower here.
    """
    if option != "auto":
        return option
    return max(0, min(_MOST_WORKERS, usable_cores() - 2))


class _StrictLoader(DataLoader[Any]):
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
            yield batch

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


class _TrainLoader(_StrictLoader):
    """Each pass is the next epoch."""

    def __iter__(self) -> Any:
        # Counted here: with workers, a DataLoader begins its first pass over the sampler twice.
        batches = super().__iter__()
        sampler: Any = self.batch_sampler
        sampler.set_epoch(sampler.epoch + 1)
        return batches


class _TolerantLoader(_StrictLoader):
    """Writes down the reasons where files can't be read, and goes on."""

    def __init__(self, images: ImageFiles, errors: list[str], **options: Any) -> None:
        super().__init__(images, **options)
        self._errors = errors

    def judge(self, batch: Batch) -> None:
        """Write down the batch's errors."""
        for position, error in zip(batch.indices.tolist(), batch.errors, strict=True):
            self._errors[position] = error


def _files(files: Sequence[Path], spec: InputSpec, max_pixels: int) -> ImageFiles:
    unknown = np.full(len(files), _NO_LABEL, np.int64)
    return ImageFiles(files, unknown, EvalView(spec), spec.size, max_pixels)


def _options(batches: Sampler[list[Key]], workers: int) -> dict[str, Any]:
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


def _collated(samples: list[Sample | FinetuneError]) -> Batch | FinetuneError:
    good: list[Sample] = []
    for sample in samples:
        if isinstance(sample, FinetuneError):
            return sample
        good.append(sample)
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
