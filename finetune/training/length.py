"""How long a phase is, in steps and in images."""

from __future__ import annotations

import math

from finetune.data.batches import batch_count
from finetune.recipe.schema import AugmentOptions, GradientPhase

_VIEWS = 8
_MOST_VIEWS = 32_000
"""Views of all images together, above which `auto` makes fewer of each."""


def epoch_length(phase: GradientPhase, images: int) -> int:
    """How many images an epoch of the phase shows, of ``images`` training images."""
    return phase.epoch_images or images


def total_steps(phase: GradientPhase, images: int) -> int:
    """Optimiser steps of the phase over ``images`` training images."""
    if phase.steps is not None:
        return phase.steps
    return _epoch_steps(phase, images) * (phase.epochs or 0)


def images_seen(phase: GradientPhase, images: int) -> int:
    """How many of ``images`` training images pass in the phase, each as often as it does."""
    return images_passed(phase, images, total_steps(phase, images))


def images_passed(phase: GradientPhase, images: int, steps: int) -> int:
    """How many images pass in the phase's first ``steps`` optimiser steps."""
    length, a_step = epoch_length(phase, images), phase.batch_size * phase.accumulate
    epochs, rest = divmod(steps, _epoch_steps(phase, images))
    return length * epochs + a_step * rest  # only an epoch's last step is of another size


def steps_within(phase: GradientPhase, images: int, most: int) -> int:
    """The most optimiser steps in which no more than ``most`` images pass."""
    length, a_step = epoch_length(phase, images), phase.batch_size * phase.accumulate
    epochs, rest = divmod(most, length)
    an_epoch = _epoch_steps(phase, images)
    return epochs * an_epoch + min(rest // a_step, an_epoch - 1)


def _epoch_steps(phase: GradientPhase, images: int) -> int:
    batches = batch_count(epoch_length(phase, images), phase.batch_size)
    return math.ceil(batches / phase.accumulate)


def varies(options: AugmentOptions) -> bool:
    """Whether a view differs from the picture as it is scored."""
    return options.policy != "none" or options.transforms is not None


def view_count(options: AugmentOptions, images: int) -> int:
    """``augment.views`` with ``auto`` made a number: one where nothing is varied.

    auto: 8 views of each image, so that a phase of 20 epochs shows each two or three times; fewer
    of more than 4,000 images, which vary enough by themselves, but 2 at least.
    """
    if not varies(options):
        return 1
    if options.views != "auto":
        return options.views
    return min(_VIEWS, max(2, _MOST_VIEWS // images))


def epochs_begun(phase: GradientPhase, images: int) -> int:
    """Epochs of the phase over ``images`` training images; the last one may be a part."""
    return math.ceil(images_seen(phase, images) / epoch_length(phase, images))


def step_images(phase: GradientPhase, images: int, batch: int) -> int:
    """Images of the optimiser step that ``batch``, from 0, of an epoch of ``images`` belongs to.

    The last step of an epoch is of fewer batches where they don't divide by ``accumulate``.
    """
    first = batch - batch % phase.accumulate
    after = first + phase.accumulate
    is_last = after >= batch_count(images, phase.batch_size)
    return (images if is_last else after * phase.batch_size) - first * phase.batch_size
