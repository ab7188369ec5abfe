"""The scores of a classifier as it is shipped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from finetune.data.manifest import Item, Manifest
from finetune.deploy.bundle import Classifier
from finetune.evaluation.calibration import softmax
from finetune.evaluation.intervals import wilson
from finetune.evaluation.metrics import scores
from finetune.evaluation.table import Prediction
from finetune.recipe.schema import EvaluateOptions

_CALIBRATED = ("log_loss", "brier", "ece")
"""The scores that a temperature is there to change."""


def score_read(
    classifier: Classifier,
    logits: np.ndarray,
    labels: np.ndarray,
    errors: Sequence[str],
    split: str,
    options: EvaluateOptions,
    seed: int,
) -> dict[str, Any]:
    """As `score`, of the images that could be read: ``errors`` ``[N]`` is ``""`` for them."""
    read = np.array([not error for error in errors], dtype=bool)
    return score(classifier, logits[read], labels[read], split, options, seed)


def score(
    classifier: Classifier,
    logits: np.ndarray,
    labels: np.ndarray,
    split: str,
    options: EvaluateOptions,
    seed: int,
) -> dict[str, Any]:
    """The contents of ``metrics.json`` for logits ``[N, C]`` and classes ``[N]``."""

    def at(temperature: float) -> dict[str, Any]:
        return scores(
            softmax(logits, temperature),
            labels,
            classifier.classes,
            split=split,
            confidence=options.confidence,
            resamples=options.bootstrap,
            seed=seed,
            majority=classifier.classes.index(classifier.majority),
        )

    raw = at(1.0)
    return at(classifier.temperature) | {"uncalibrated": {name: raw[name] for name in _CALIBRATED}}


def without_copies(
    classifier: Classifier,
    items: Sequence[Item],
    logits: np.ndarray,
    errors: Sequence[str],
    options: EvaluateOptions,
) -> dict[str, Any]:
    """What images flatter the accuracy that were seen in training: ``leaked`` of ``metrics.json``.

    Empty where none of ``items`` is the copy of an image of an earlier part.

    Args:
        classifier: Names the classes.
        items: The images that were scored, ``N`` of them.
        logits: ``[N, C]``.
        errors: ``[N]``; not empty for images that could not be read.
        options: Of the recipe.
    """
    read = np.array([not error for error in errors], dtype=bool)
    copies = np.array([bool(item.copy_of) for item in items], dtype=bool)
    if not (read & copies).any():
        return {}
    labels = np.array([classifier.classes.index(item.label) for item in items])
    right = (logits.argmax(1) == labels)[read & ~copies]
    accuracy = wilson(int(right.sum()), len(right), options.confidence)
    return {"leaked": {"n": int((read & copies).sum()), "accuracy_without": accuracy.to_dict()}}


def predictions_for(
    items: Sequence[Item],
    logits: np.ndarray,
    temperature: float,
    errors: Sequence[str] | None = None,
) -> list[Prediction]:
    """A prediction for each of ``items`` from its row of ``logits``, ``[N, C]``."""
    values = softmax(logits, temperature)
    return [
        Prediction(
            path=item.path,
            split=item.split,
            label=item.label,
            probabilities=None if errors and errors[i] else values[i],
            error=errors[i] if errors else "",
        )
        for i, item in enumerate(items)
    ]


def unreadable(manifest: Manifest, splits: Collection[str]) -> list[Prediction]:
    """Rows for the files of the parts ``splits`` that were set aside."""
    return [
        Prediction(path=item.path, split=item.split, label=item.label, error=item.reason)
        for item in manifest.items
        if item.status == "bad" and item.split in splits
    ]
