"""Which images a phase's epochs show, and how many views of each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finetune.data.turns import ClassTurns
from finetune.recipe.schema import AugmentOptions, GradientPhase
from finetune.training.length import epoch_length, epochs_begun, varies, view_count

Counts = npt.NDArray[np.int64]


def turns_of(phase: GradientPhase, labels: npt.NDArray[np.int64]) -> ClassTurns | None:
    """What an epoch shows of images with these ``labels`` ``[N]``; None: each of them once."""
    if phase.sampling == "natural":
        return None
    return ClassTurns(labels, epoch_length(phase, len(labels)))


def views_of(
    phase: GradientPhase, options: AugmentOptions, labels: npt.NDArray[np.int64]
) -> Counts:
    """How many views each image has where stages are frozen, ``[N]``.

    An image that an epoch shows several times has as many times the views, so that it goes as
    many epochs without a view that was shown before.
    """
    turns, views = turns_of(phase, labels), view_count(options, len(labels))
    if turns is None or not varies(options):
        return np.full(len(labels), views)
    return np.maximum(turns.views(views), 1)


def shown_views(
    phase: GradientPhase, options: AugmentOptions, labels: npt.NDArray[np.int64]
) -> Counts:
    """How many of these the phase comes to show, ``[N]``."""
    turns, epochs = turns_of(phase, labels), epochs_begun(phase, len(labels))
    times = np.full(len(labels), epochs) if turns is None else turns.times(epochs)
    return np.minimum(views_of(phase, options, labels), times)
