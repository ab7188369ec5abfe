"""Whether a picture and its mirror image together say more than the picture alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finetune.data.manifest import Item
from finetune.evaluation.clusters import group_numbers
from finetune.evaluation.selection import choose_phase
from finetune.text import plural
from finetune.training.probing import probe_logits
from finetune.training.setting import Setting

_NAMES = ("alone", "both")


def mirror_helps(alone: Setting, both: Setting) -> bool:
    """Whether a linear probe on the training images is better with mirror images.

    It is better if its out-of-fold log loss is, image by image, by as much as a later phase has to
    be better than an earlier one. What was decided is told.

    Args:
        alone: Of pictures as they are.
        both: The same with the means over mirror images.

    Raises:
        TrainingError: Features that are not numbers, or fewer than two images.
    """
    items = alone.manifest.part("train")
    logits = [_out_of_fold(each, items) for each in (alone, both)]
    groups = group_numbers([item.group for item in items])
    labels, judged_on = alone.labels(items), "training images"
    choice = choose_phase(logits, labels, _NAMES, judged_on=judged_on, groups=groups)
    (comparison,) = choice.comparisons
    helps = comparison.better
    alone.reporter.say(
        f"input.mirror: {str(helps).lower()}. With mirror images the log loss of a linear probe is "
        f"{'lower' if comparison.gain > 0 else 'higher'} by {abs(comparison.gain):.3f} ± "
        f"{comparison.error or 0.0:.3f} (standard error, {plural(len(items), 'training image')}, "
        f"out-of-fold); {comparison.asked:.2f} standard errors are asked for."
    )
    return helps


def _out_of_fold(setting: Setting, items: Sequence[Item]) -> npt.NDArray[np.float32]:
    classes, groups = len(setting.manifest.classes), [item.group for item in items]
    features, labels = setting.pristine_features(items), setting.labels(items)
    return probe_logits(features, labels, classes, groups, setting.recipe.seed)
