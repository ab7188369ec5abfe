"""One pass of images through the network, up to the classifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch
from torch import nn

from finetune.console import Task
from finetune.data.input_spec import InputSpec
from finetune.model.head import FeatureTap, classifier
from finetune.model.modes import evaluating
from finetune.model.normalise import normalise
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
) -> np.ndarray:
    """The inputs of the classifier for every image, in evaluation mode and float32.

    Args:
        model: The network; it is moved to ``device`` and otherwise left as it was.
        loader: Batches in any order.
        spec: Preprocessing of the images.
        device: Where to compute.
        task: Told of each batch that is done.

    Returns:
        float32 ``[N, D]``; rows in the order of the batches' indices.
    """
    rows: list[np.ndarray] = []
    places: list[np.ndarray] = []
    model.to(device)
    with (
        evaluating(model),
        torch.inference_mode(),
        full_precision(device),
        FeatureTap(model) as tap,
    ):
        for batch in loader:
            model(normalise(batch.images, spec, device))
            rows.append(tap.features.float().cpu().numpy())
            places.append(batch.indices.cpu().numpy())
            task.advance(len(batch.indices))
    if not rows:
        return np.zeros((0, classifier(model).in_features), dtype=np.float32)
    return np.concatenate(rows)[np.argsort(np.concatenate(places), kind="stable")]
