"""Batches of images from files, by worker processes that hold no state.

A batch sampler hands each worker the keys of what to make: position, epoch and occurrence. What
comes out is a function of these, so that no number of workers changes a pixel or an order.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from finetune.data.turns import ClassTurns
from finetune.environment import usable_cores
from finetune.recipe.schema import AugmentOptions

_MOST_WORKERS = 4
_NO_LABEL = -1
_PICTURES = 16
"""Pictures that a worker hands over at once, as they have no common size."""


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
    views: npt.NDArray[np.int64] | None = None,
    kept: Kept | None = None,
    turns: ClassTurns | None = None,
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
        views: How many views each image has, ``[N]``, the same in all phases; None: a new one
            each epoch, of this phase alone.
        kept: Pictures that need not be decoded, as `picture_loader` gives them.
        turns: What an epoch shows; None: each image once.

    Raises:
        RecipeError: A transform can't be made.
        DataError: When a file that was fine can't be read now; raised in this process.
    """
    own_phase = phase if views is None else None
    view = _train_view(items, spec, augment, seed, own_phase, views)
    images = _labelled(manifest, items, view, spec, max_pixels, kept)
    batches = TrainBatches(len(items), batch_size, seed, phase, first_epoch, first_batch, turns)
    return TrainLoader(images, **loader_options(batches, workers))


def view_loader(
    manifest: Manifest,
    items: Sequence[Item],
    spec: InputSpec,
    augment: AugmentOptions,
    seed: int,
    wanted: Sequence[tuple[int, int]],
    batch_size: int,
    workers: int,
    max_pixels: int,
) -> DataLoader[Any]:
    """Batches of the views that all phases share, in the order of ``wanted``.

    Args:
        manifest: Knows the files and the classes.
        items: The images.
        spec: How pictures become inputs.
        augment: How they are varied.
        seed: The recipe's.
        wanted: Positions among ``items``, each with a view's number.
        batch_size: Views a batch.
        workers: Processes; 0: this one.
        max_pixels: Larger images are not opened.

    Raises:
        RecipeError: A transform can't be made.
        DataError: When a file that was fine can't be read now; raised in this process.
    """
    most = 1 + max((number for _, number in wanted), default=0)
    view = _train_view(items, spec, augment, seed, None, np.full(len(items), most))
    images = _labelled(manifest, items, view, spec, max_pixels)
    keys = [Key(position, number, 0) for position, number in wanted]
    return StrictLoader(images, **loader_options(GivenBatches(keys, batch_size), workers))


def picture_loader(
    manifest: Manifest,
    items: Sequence[Item],
    spec: InputSpec,
    augment: AugmentOptions,
    workers: int,
    max_pixels: int,
) -> DataLoader[Any]:
    """Lists of what the views of the images are made of, in their order: `Pixels` of any size.

    Raises:
        DataError: When a file that was fine can't be read now; raised in this process.
    """
    from finetune.data.transforms import Augmentation

    view = Unvaried(Augmentation(spec, augment, 0, None))
    images = _labelled(manifest, items, view, spec, max_pixels)
    batches = EvalBatches(len(items), _PICTURES)
    return PictureLoader(images, **picture_options(batches, workers))


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
    spec: InputSpec,
    max_pixels: int,
    kept: Kept | None = None,
) -> ImageFiles:
    files = [manifest.file(item) for item in items]
    return ImageFiles(files, manifest.labels(items), view, spec.size, max_pixels, kept)


def eval_loader(
    files: Sequence[Path],
    spec: InputSpec,
    batch_size: int,
    workers: int,
    max_pixels: int,
    kept: Kept | None = None,
) -> DataLoader[Any]:
    """Batches of fitted images in the order given; those that are ``kept`` are not decoded.

    Raises:
        DataError: When a file can't be read; raised in this process.
    """
    images = _files(files, spec, max_pixels, kept)
    return StrictLoader(images, **loader_options(EvalBatches(len(files), batch_size), workers))


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
    return TolerantLoader(images, errors, **loader_options(batches, workers))


def worker_count(option: Literal["auto"] | int) -> int:
    """Processes for ``data.workers``; auto: one a core beyond the second, 4 at most.

    On two cores a worker would take the time of the threads that train: 10 to 30 % slower here.
    """
    if option != "auto":
        return option
    return max(0, min(_MOST_WORKERS, usable_cores() - 2))


def _files(
    files: Sequence[Path], spec: InputSpec, max_pixels: int, kept: Kept | None = None
) -> ImageFiles:
    unknown = np.full(len(files), _NO_LABEL, np.int64)
    return ImageFiles(files, unknown, EvalView(spec), spec.size, max_pixels, kept)
