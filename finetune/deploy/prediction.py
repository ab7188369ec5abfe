"""Applying a classifier to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from finetune.console import Reporter
from finetune.data.loading import prediction_loader, worker_count
from finetune.deploy.bundle import Classifier
from finetune.evaluation.calibration import softmax
from finetune.evaluation.prediction import predict_logits
from finetune.features.body import FLOAT32
from finetune.model.device import memory_told
from finetune.model.precision import native_bfloat16

_BATCH = 64


def classify(
    classifier: Classifier,
    files: Sequence[Path],
    reporter: Reporter,
    device: torch.device,
    workers: int | None = None,
    title: str = "predict",
) -> tuple[np.ndarray, list[str]]:
    """Logits for ``files``, ``[N, C]``, and why each can't be read (``""`` if it can), ``[N]``.

    The row of a file that can't be read means nothing: it is a black picture's.
    """
    if not files:
        return np.empty((0, len(classifier.classes)), dtype=np.float32), []
    errors = [""] * len(files)
    loader = prediction_loader(
        files,
        classifier.spec,
        _BATCH,
        worker_count("auto") if workers is None else workers,
        classifier.max_pixels,
        errors,
    )
    with (
        memory_told(
            "Free some of it. Without the GPU it goes so: CUDA_VISIBLE_DEVICES= finetune ..."
        ),
        reporter.task(title, len(files), "images") as task,
    ):
        model = classifier.model.to(device)
        fast = classifier.number_format if native_bfloat16(device) else FLOAT32
        logits = predict_logits(model, loader, classifier.spec, device, task, fast)
    return logits, errors


def probabilities(classifier: Classifier, logits: np.ndarray) -> np.ndarray:
    """Calibrated probabilities ``[N, C]`` of logits ``[N, C]``."""
    return softmax(logits, classifier.temperature)
