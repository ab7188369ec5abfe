"""The scores of a classifier as it is shipped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from finetune.data.manifest import Item, Manifest
from finetune.deploy.bundle import Classifier
from finetune.deploy.prediction import Seen
from finetune.evaluation.calibration import softmax
from finetune.evaluation.clusters import group_numbers, share
from finetune.evaluation.estimates import Answers
from finetune.evaluation.metrics import scores
from finetune.evaluation.table import Prediction
from finetune.recipe.schema import EvaluateOptions

_CALIBRATED = ("log_loss", "brier", "ece")
"""The scores that a temperature is there to change."""


def score_read(
    classifier: Classifier,
    seen: Seen,
    labels: np.ndarray,
    split: str,
    options: EvaluateOptions,
    seed: int,
    *,
    groups: Sequence[str] | None = None,
) -> dict[str, Any]:
    """As `score`, of the images that could be read, with what abstaining comes to on them."""
    read = np.array([not error for error in seen.errors], dtype=bool)
    names = [name for name, kept in zip(groups, read, strict=True) if kept] if groups else None
    logits, labels = seen.logits[read], labels[read]
    metrics = score(classifier, logits, labels, split, options, seed, groups=names)
    if not classifier.abstention or not len(labels):
        return metrics
    answers = Answers(
        softmax(logits, classifier.temperature), labels, group_numbers(names), options.confidence
    )
    return metrics | {"abstention": _abstaining(classifier, answers, seen.features[read])}


def _abstaining(classifier: Classifier, answers: Answers, features: np.ndarray) -> dict[str, Any]:
    """What abstaining comes to: how much is answered, how much of that is right, the sets."""
    abstention, classes = classifier.abstention, classifier.classes
    told = abstention.reasons(answers.probabilities, features, classes)
    answered = np.array([not reason for reason in told])
    found: dict[str, Any] = {
        "answered": answers.share(answered).to_dict(),
        "accuracy": answers.share(answers.correct, answered).to_dict(),
        "asked": {},
    }
    if abstention.precision:
        found["asked"]["precision"] = abstention.precision.target
    if conformal := abstention.conformal:
        sets = conformal.sets(answers.probabilities)
        held = sets[np.arange(len(sets)), answers.labels]
        found["asked"]["coverage"] = conformal.coverage
        found |= {"coverage": answers.share(held).to_dict(), "set_size": float(sets.sum(1).mean())}
    if abstention.unlike:
        unlike = np.array([bool(reason) for reason in abstention.unlike.reasons(features)])
        found["asked"]["unlike"] = abstention.unlike.share
        found["unlike"] = answers.share(unlike).to_dict()
    return found


def score(
    classifier: Classifier,
    logits: np.ndarray,
    labels: np.ndarray,
    split: str,
    options: EvaluateOptions,
    seed: int,
    *,
    groups: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The contents of ``metrics.json`` for logits ``[N, C]`` and classes ``[N]``.

    ``groups`` ``[N]`` name what belongs together; ``""`` is a group of its own.
    """
    numbers = group_numbers(groups)

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
            groups=numbers,
        )

    raw = at(1.0)
    return at(classifier.temperature) | {"uncalibrated": {name: raw[name] for name in _CALIBRATED}}


def without_copies(
    classifier: Classifier, items: Sequence[Item], seen: Seen, options: EvaluateOptions
) -> dict[str, Any]:
    """What images flatter the accuracy that were seen in training: ``leaked`` of ``metrics.json``.

    Empty where none of ``items`` is the copy of an image of an earlier part.

    Args:
        classifier: Names the classes.
        items: The images that were scored, ``N`` of them.
        seen: What it made of them.
        options: Of the recipe.
    """
    read = np.array([not error for error in seen.errors], dtype=bool)
    copies = np.array([bool(item.copy_of) for item in items], dtype=bool)
    if not (read & copies).any():
        return {}
    labels = np.array([classifier.classes.index(item.label) for item in items])
    honest = read & ~copies
    names = [item.group for item, kept in zip(items, honest, strict=True) if kept]
    right = (seen.logits.argmax(1) == labels)[honest]
    accuracy = share(right, group_numbers(names), options.confidence)
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
