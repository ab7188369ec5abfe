"""Batches of images from files, by worker processes that hold no state.

A batch sampler hands each worker the keys of what to make: position, epoch and occurrence. What
comes out is a function of these, so that no number of workers changes a pixel or an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader

from finetune.data.batches import EvalBatches, GivenBatches, TrainBatches
from finetune.data.images import EvalView, ImageFiles, Kept, Key, TrainView, Unvaried, View
from finetune.data.input_spec import InputSpec
from finetune.data.loaders import (
    PictureLoader,
    StrictLoader,
    TolerantLoader,
    TrainLoader,
    loader_options,
    picture_options,
)
from finetune.data.manifest import Item, Manifest
from finetune.data.randomness import sample_key
from finetune.environment import usable_cores
from finetune.recipe.schema import AugmentOptions

_MOST_WORKERS = 4
_NO_LABEL = -1
_PICTURES = 16
"""Pictures that a worker hands over at once, as they have no common size."""


@dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
        spec: How they become inputs.
        max_pixels: Larger ones are not opened.
        workers: Processes that read; 0: this one.
    """

    spec: InputSpec
    max_pixels: int
    workers: int = 0


def train_loader(
    manifest: Manifest,
    items: Sequence[Item],
    reading: Reading,
    augment: AugmentOptions,
    batches: TrainBatches,
    views: npt.NDArray[np.int64] | None = None,
    kept: Kept | None = None,
) -> DataLoader[Any]:
    """Augmented batches in a new order each epoch; each ``iter()`` of it is the next epoch.

    ``loader.batch_sampler.set_epoch(n)`` makes the next one epoch ``n``. The last batch may be
    smaller; one image left over joins the batch before it.

    Args:
        manifest: Knows the files and the classes.
        items: What to learn from.
        reading: How pictures are read.
        augment: How they are varied.
        batches: Which images make which batch; seed and phase of the variation are its own.
        views: How many views each image has, ``[N]``, the same in all phases; None: a new one
            each epoch, of this phase alone.
        kept: Pictures that need not be decoded, as `picture_loader` gives them.

    Raises:
        RecipeError: A transform can't be made.
        DataError: When a file that was fine can't be read now; raised in this process.
    """
    own_phase = batches.phase if views is None else None
    view = _train_view(items, reading.spec, augment, batches.seed, own_phase, views)
    images = _labelled(manifest, items, view, reading, kept)
    return TrainLoader(images, **loader_options(batches, reading.workers))


def view_loader(
    manifest: Manifest,
    items: Sequence[Item],
    reading: Reading,
    augment: AugmentOptions,
    seed: int,
    wanted: Sequence[tuple[int, int]],
    batch_size: int,
) -> DataLoader[Any]:
    """Batches of the views that all phases share, in the order of ``wanted``.

    Args:
        manifest: Knows the files and the classes.
        items: The images.
        reading: How pictures are read.
        augment: How they are varied.
        seed: The recipe's.
        wanted: Positions among ``items``, each with a view's number.
        batch_size: Views a batch.

    Raises:
        RecipeError: A transform can't be made.
        DataError: When a file that was fine can't be read now; raised in this process.
    """
    most = 1 + max((number for _, number in wanted), default=0)
    view = _train_view(items, reading.spec, augment, seed, None, np.full(len(items), most))
    images = _labelled(manifest, items, view, reading)
    keys = [Key(position, number, 0) for position, number in wanted]
    return StrictLoader(images, **loader_options(GivenBatches(keys, batch_size), reading.workers))


def picture_loader(
    manifest: Manifest, items: Sequence[Item], reading: Reading, augment: AugmentOptions
) -> DataLoader[Any]:
    """Lists of what the views of the images are made of, in their order: `Pixels` of any size.

    Raises:
        DataError: When a file that was fine can't be read now; raised in this process.
    """
    from finetune.data.transforms import Augmentation

    view = Unvaried(Augmentation(reading.spec, augment, 0, None))
    images = _labelled(manifest, items, view, reading)
    batches = EvalBatches(len(items), _PICTURES)
    return PictureLoader(images, **picture_options(batches, reading.workers))


def _train_view(
    items: Sequence[Item],
    spec: InputSpec,
    augment: AugmentOptions,
    seed: int,
    phase: int | None,
    views: npt.NDArray[np.int64] | None,
) -> TrainView:
    # Here, and not above: scoring and predicting need no albumentations, which is slow to import.
    from finetune.data.transforms import Augmentation

    samples = np.fromiter((sample_key(item.path) for item in items), np.uint64, len(items))
    return TrainView(Augmentation(spec, augment, seed, phase), samples, views)


def _labelled(
    manifest: Manifest,
    items: Sequence[Item],
    view: View,
    reading: Reading,
    kept: Kept | None = None,
) -> ImageFiles:
    files, labels = [manifest.file(item) for item in items], manifest.labels(items)
    return ImageFiles(files, labels, view, reading.spec.size, reading.max_pixels, kept)


def eval_loader(
    files: Sequence[Path], reading: Reading, batch_size: int, kept: Kept | None = None
) -> DataLoader[Any]:
    """Batches of fitted images in the order given; those that are ``kept`` are not decoded.

    Raises:
        DataError: When a file can't be read; raised in this process.
    """
    images = _fitted(files, reading, kept)
    batches = EvalBatches(len(files), batch_size)
    return StrictLoader(images, **loader_options(batches, reading.workers))


def prediction_loader(
    files: Sequence[Path], reading: Reading, batch_size: int, errors: list[str]
) -> DataLoader[Any]:
    """As `eval_loader`, for files that nobody has looked at: what can't be read stops nothing.

    Such a file has a black image in its batch, and its reason in the batch's ``errors``.

    Args:
        files: What to read.
        reading: How pictures are read.
        batch_size: Images a batch.
        errors: A text a file, ``[N]``; filled with the reasons while batches come.
    """
    images = _fitted(files, reading)
    batches = EvalBatches(len(files), batch_size)
    return TolerantLoader(images, errors, **loader_options(batches, reading.workers))


def _fitted(files: Sequence[Path], reading: Reading, kept: Kept | None = None) -> ImageFiles:
    unknown, view = np.full(len(files), _NO_LABEL, np.int64), EvalView(reading.spec)
    return ImageFiles(files, unknown, view, reading.spec.size, reading.max_pixels, kept)


def worker_count(option: Literal["auto"] | int) -> int:
    """Processes for ``data.workers``; auto: one a core beyond the second, 4 at most.

    On two cores a worker would take the time of the threads that train: 10 to 30 % slower here.
    """
    if option != "auto":
        return option
    return max(0, min(_MOST_WORKERS, usable_cores() - 2))
