"""What the classifier needs to know when not to answer, fitted where the weights did not look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from finetune.data.manifest import Item
from finetune.evaluation.abstention import Abstention, Conformal, Precision, Unlike
from finetune.evaluation.calibration import log_losses, softmax
from finetune.evaluation.clusters import Groups
from finetune.evaluation.conformal import loss_limit
from finetune.evaluation.novelty import (
    chosen,
    directions,
    distance_limit,
    distances,
    distances_among,
)
from finetune.evaluation.thresholds import fewest, precision_thresholds
from finetune.text import listed, plural
from finetune.training.setting import Setting

_FEWEST = 20
"""Images that a limit for strange pictures is fitted on, at least."""


@dataclass(frozen=True)
class Held:
    """Answers to images that the weights which gave them had not seen.

    Attributes:
        logits: ``[N, C]``.
        labels: Class indices ``[N]``.
        groups: The images' groups ``[N]``; None: each its own.
        temperature: What the logits are divided by.
    """

    logits: np.ndarray
    labels: np.ndarray
    groups: Groups | None
    temperature: float

    @property
    def words(self) -> str:
        """How many images they are of."""
        images = plural(len(self.labels), "image")
        if self.groups is None:
            return images
        return f"{images} in {plural(len(np.unique(self.groups)), 'group')}"


def fit_abstention(setting: Setting, model: nn.Module, held: Held, *, pristine: bool) -> Abstention:
    """Thresholds, prediction sets and the limit for strange pictures, as the recipe asks.

    Args:
        setting: What the training was made of.
        model: The classifier as it is shipped.
        held: What thresholds and sets are fitted on.
        pristine: Whether the body is as pretrained, so that no label has shaped its features.
    """
    return Abstention(
        precision=_precision(setting, held),
        conformal=_conformal(setting, held),
        unlike=_unlike(setting, model, pristine=pristine),
    )


def _precision(setting: Setting, held: Held) -> Precision | None:
    options, classes = setting.recipe.evaluate, setting.manifest.classes
    if options.precision is None:
        return None
    probabilities = softmax(held.logits, held.temperature)
    thresholds = precision_thresholds(
        probabilities, held.labels, options.precision, options.confidence, held.groups
    )
    never = [name for name, each in zip(classes, thresholds, strict=True) if each is None]
    if never:
        needed = fewest(options.precision, 1 - options.confidence)
        setting.reporter.warn(
            f"A precision of {options.precision:g} can't be shown for "
            f"{plural(len(never), 'class', 'classes')}, which `predict --abstain` never answers: "
            f"{listed(never)}. It takes at least {plural(needed, 'image')} taken for the class, "
            "all right, that the weights have not seen"
            f"{'' if held.groups is None else ', of as many groups'}."
        )
    return Precision(options.precision, tuple(thresholds), len(held.labels))


def _conformal(setting: Setting, held: Held) -> Conformal | None:
    coverage = setting.recipe.evaluate.coverage
    if coverage is None:
        return None
    losses = log_losses(held.logits, held.labels, held.temperature)
    limit = loss_limit(losses, coverage, held.groups)
    if limit is None:
        setting.reporter.warn(
            f"There are no prediction sets: {held.words} that the weights have not seen can't "
            f"promise a coverage of {coverage:g}."
        )
        return None
    return Conformal(coverage, limit, len(held.labels))


def _unlike(setting: Setting, model: nn.Module, *, pristine: bool) -> Unlike | None:
    share = setting.recipe.evaluate.unlike
    if share is None:
        return None
    train, validation = setting.manifest.part("train"), setting.manifest.part("val")
    compared = [train[place] for place in chosen(len(train), setting.recipe.seed)]
    unseen = compared if pristine else [validation[i] for i in chosen(len(validation), 0)]
    if len(unseen) < _FEWEST:
        setting.reporter.warn(
            f"What is unlike the training images isn't known: {plural(len(unseen), 'image')} "
            f"{'are' if len(unseen) != 1 else 'is'} too few to fit a limit on."
        )
        return None
    kept = directions(_features(setting, model, compared, pristine=pristine))
    if pristine:
        far = distances_among(kept, [item.group for item in compared])
    else:
        far = distances(setting.live_features(model, unseen, "features"), kept)
    return Unlike(share, distance_limit(far, share), len(far), kept) if len(far) else None


def _features(
    setting: Setting, model: nn.Module, items: Sequence[Item], *, pristine: bool
) -> np.ndarray:
    if pristine:
        return setting.pristine_features(items)
    return setting.live_features(model, items, "features")
