"""One pass of images through the network, up to the classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from finetune.console import Task
from finetune.data.input_spec import InputSpec
from finetune.features.body import FLOAT32, body_of
from finetune.model.device import free_memory, is_out_of_memory, not_enough_memory
from finetune.model.head import classifier
from finetune.model.precision import full_precision


class ImageBatch(Protocol):
    """What this module wants of a batch."""

    @property
    def images(self) -> torch.Tensor:
        """uint8 ``[N, size, size, 3]``."""

    @property
    def indices(self) -> torch.Tensor:
        """int64 ``[N]``: each image's place among all."""


def features(
    model: nn.Module,
    loader: Iterable[ImageBatch],
    spec: InputSpec,
    device: torch.device,
    task: Task,
    number_format: str = FLOAT32,
) -> npt.NDArray[np.float32]:
    """The inputs of the classifier for every image, in evaluation mode.

    Args:
        model: The network; it is moved to ``device`` and otherwise left as it was.
        loader: Batches in any order; their indices are the numbers from 0 to N - 1.
        spec: Preprocessing of the images.
        device: Where to compute.
        task: Told of each batch that is done.
        number_format: What the body computes in, ``float32`` or ``bfloat16``.

    Returns:
        ``[N, D]``; the row of an image is its index.

    Raises:
        WeightsError: The classifier's inputs are not ``[N, D]``.
    """
    model.to(device)
    found = np.empty((0, classifier(model).in_features), dtype=np.float32)
    parts = list(passed(lambda: body_of(model, spec, device, number_format), loader, device, task))
    if not parts:
        return found
    rows = torch.cat([part.float() for part, _ in parts]).numpy()
    placed = np.empty_like(rows)
    placed[torch.cat([indices for _, indices in parts]).numpy()] = rows
    return placed


def passed(
    make: Callable[[], Callable[[torch.Tensor], torch.Tensor]],
    loader: Iterable[ImageBatch],
    device: torch.device,
    task: Task,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What a network gives for each batch, and its indices, on the CPU.

    Args:
        make: Gives the network, when the first batch is there: making it takes a while.
        loader: Batches of images.
        device: Where the network is.
        task: Told of each batch that is done.

    Raises:
        DeviceError: Not even one image fits the memory; a batch that doesn't is passed in parts.
    """
    network, most = None, 0
    for batch in loader:
        # Around the network alone: what iterates may compute in between.
        with torch.inference_mode(), full_precision(device):
            network = network or make()
            most = most or len(batch.images)
            rows, most = _in_parts(network, batch.images, most, device)
        yield rows, batch.indices.cpu()
        task.advance(len(batch.indices))


def _in_parts(
    network: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    most: int,
    device: torch.device,
) -> tuple[torch.Tensor, int]:
    """The rows of ``images``, ``most`` passed at once or as many as fit, and how many those are.

    Raises:
        DeviceError: Not even one image fits the memory.
    """
    outcome = _attempt(network, images, most)
    while isinstance(outcome, str):
        if most == 1:
            raise not_enough_memory(outcome, "Close other programs, or choose a smaller network.")
        most = -(-min(most, len(images)) // 2)
        free_memory(device)
        outcome = _attempt(network, images, most)
    return outcome, most


def _attempt(
    network: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, most: int
) -> torch.Tensor | str:
    """The rows, or what the allocator said; its words alone, as the error holds the memory."""
    try:
        return torch.cat([network(part).cpu() for part in torch.split(images, most)])
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return str(error) or type(error).__name__
