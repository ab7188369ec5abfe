"""Predictions for what a person names: files, folders, globs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finetune.console import Reporter, automatic
from finetune.deploy.bundle import Classifier
from finetune.deploy.inputs import Name, find_images
from finetune.deploy.prediction import check_abstains, look, probabilities, reasons
from finetune.evaluation.table import Prediction
from finetune.model.device import pick_device


def predict_files(
    classifier: Classifier,
    inputs: Name | Sequence[Name],
    reporter: Reporter | None,
    *,
    abstain: bool = False,
) -> list[Prediction]:
    """A prediction for each image that ``inputs`` name.

    Raises:
        DataError: An input names no image.
        RunError: The classifier is to abstain and doesn't know when.
    """
    if abstain:
        check_abstains(classifier)
    files = find_images(inputs)
    seen = look(classifier, [Path(file) for file in files], reporter or automatic(), pick_device())
    told = reasons(classifier, seen) if abstain else [""] * len(files)
    values = probabilities(classifier, seen.logits)
    return [
        Prediction(file, probabilities=value, reason=reason)
        if not error
        else Prediction(file, error=error)
        for file, value, error, reason in zip(files, values, seen.errors, told, strict=True)
    ]
