"""A trained network's answers to images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from finetune.console import Task
from finetune.data.input_spec import InputSpec
from finetune.data.loading import Batch
from finetune.model.head import classifier
from finetune.model.modes import evaluating
from finetune.model.normalise import normalise
from finetune.model.precision import full_precision


def predict_logits(
    model: nn.Module, loader: Iterable[Batch], spec: InputSpec, device: torch.device, task: Task
) -> npt.NDArray[np.float32]:
    """Logits for every image, in evaluation mode and plain float32 arithmetic.

    Args:
        model: The network; it is moved to ``device`` and otherwise left as it was.
        loader: Batches in any order; their indices are the numbers from 0 to N - 1.
        spec: How pictures become inputs.
        device: Where to compute.
        task: Is told of each batch.

    Returns:
        float32 ``[N, C]``; the row of an image is its index.
    """
    logits, indices = [], []
    model.to(device)
    with evaluating(model), torch.inference_mode(), full_precision(device):
        for batch in loader:
            logits.append(model(normalise(batch.images, spec, device)).float().cpu())
            indices.append(batch.indices)
            task.advance(len(batch.indices))
    if not logits:
        return np.empty((0, classifier(model).out_features), dtype=np.float32)
    found = torch.cat(logits).numpy()
    placed = np.empty_like(found)
    placed[torch.cat(indices).cpu().numpy()] = found
    return placed
