"""A trained network's answers to images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from finetune.console import Task
from finetune.data.input_spec import InputSpec
from finetune.data.loaders import Batch
from finetune.features.body import FLOAT32
from finetune.features.extraction import features
from finetune.model.head import classifier


def predict_logits(
    model: nn.Module,
    loader: Iterable[Batch],
    spec: InputSpec,
    device: torch.device,
    task: Task,
    number_format: str = FLOAT32,
) -> npt.NDArray[np.float32]:
    """Logits for every image, in evaluation mode; the classifier itself computes in float32.

    Args:
        model: The network; it is moved to ``device`` and otherwise left as it was.
        loader: Batches in any order; their indices are the numbers from 0 to N - 1.
        spec: How pictures become inputs.
        device: Where to compute.
        task: Is told of each batch.
        number_format: What the network's body computes in, ``float32`` or ``bfloat16``.

    Returns:
        ``[N, C]``; the row of an image is its index.
    """
    return answers(model, features(model, loader, spec, device, task, number_format))


def answers(model: nn.Module, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The classifier's logits ``[N, C]`` for its inputs ``[N, D]``."""
    layer = classifier(model)
    weight, bias = (t.detach().float().cpu().numpy() for t in (layer.weight, layer.bias))
    return np.asarray(inputs @ weight.T + bias, dtype=np.float32)
