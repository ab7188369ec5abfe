"""Applying a classifier to files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from finetune.console import Reporter
from finetune.data.loading import Reading, prediction_loader, worker_count
from finetune.deploy.bundle import Classifier
from finetune.errors import RunError
from finetune.evaluation.calibration import softmax
from finetune.evaluation.prediction import answers
from finetune.features.body import FLOAT32
from finetune.features.extraction import features
from finetune.features.frozen import FrozenOutputs
from finetune.model.device import memory_told
from finetune.model.precision import native_bfloat16

_BATCH = 64


@dataclass(frozen=True)
class Seen:
    """What a classifier made of files; the row of one that can't be read means nothing.

    Attributes:
        features: What its last layer saw, float32 ``[N, D]``.
        logits: float32 ``[N, C]``.
        errors: Why each can't be read, ``[N]``; ``""`` if it can.
    """

    features: np.ndarray
    logits: np.ndarray
    errors: list[str]


def look(
    classifier: Classifier,
    files: Sequence[Path],
    reporter: Reporter,
    device: torch.device,
    workers: int | None = None,
    title: str = "predict",
) -> Seen:
    """Features and logits for ``files``, in one pass."""
    errors = [""] * len(files)
    workers = worker_count("auto") if workers is None else workers
    reading = Reading(classifier.spec, classifier.max_pixels, workers)
    loader = prediction_loader(files, reading, _BATCH, errors)
    with (
        memory_told(
            "Free some of it. Without the GPU it goes so: CUDA_VISIBLE_DEVICES= finetune ..."
        ),
        reporter.task(title, len(files), "images") as task,
    ):
        model = classifier.model.to(device)
        fast = number_format_on(device, classifier)
        rows = features(model, loader, classifier.spec, device, task, fast)
    return Seen(rows, answers(model, rows), errors)


def number_format_on(device: torch.device, classifier: Classifier) -> str:
    """What the body of ``classifier`` computes in on ``device``."""
    return classifier.number_format if native_bfloat16(device) else FLOAT32


def look_once(
    classifier: Classifier,
    files: Sequence[Path],
    digests: Sequence[str],
    outputs: FrozenOutputs,
    reporter: Reporter,
    device: torch.device,
    workers: int,
    title: str,
) -> Seen:
    """`look`, if the store hasn't the features of all ``files``; it has them from then on.

    Args:
        classifier: The classifier.
        files: The images, ``[N]``.
        digests: Of the files' bytes, ``[N]``.
        outputs: Of the classifier's own body, in its number format.
        reporter: Who is told.
        device: Where to compute.
        workers: Processes that read images.
        title: What the work is called.
    """
    kept = outputs.known(digests)
    if kept is not None:
        rows = kept.float().numpy()
        return Seen(rows, answers(classifier.model.to(device), rows), [""] * len(files))
    seen = look(classifier, files, reporter, device, workers, title)
    read = [place for place, error in enumerate(seen.errors) if not error]
    outputs.keep([digests[place] for place in read], torch.from_numpy(seen.features[read]))
    return seen


def probabilities(classifier: Classifier, logits: np.ndarray) -> np.ndarray:
    """Calibrated probabilities ``[N, C]`` of logits ``[N, C]``."""
    return softmax(logits, classifier.temperature)


def reasons(classifier: Classifier, seen: Seen) -> list[str]:
    """Why each file is not answered, ``[N]``; ``""`` where it is."""
    values = probabilities(classifier, seen.logits)
    return classifier.abstention.reasons(values, seen.features, classifier.classes)


def check_abstains(classifier: Classifier) -> None:
    """See to it that the classifier knows when not to answer.

    Raises:
        RunError: It holds nothing that says so.
    """
    if not classifier.abstention:
        raise RunError(
            "the model doesn't know when not to answer: nothing was fitted for that",
            mend="Train again with one of evaluate.precision, coverage and unlike set, and enough "
            "images; or predict without --abstain.",
        )
