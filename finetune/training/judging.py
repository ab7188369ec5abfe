"""Which phase's weights are kept.

A later phase has to earn its place: it is kept when its calibrated log loss, image by image, beats
the best earlier phase's by a margin (`choose_phase`). Enough validation
images (200) decide that themselves. With fewer, the training images are cut into folds and the
phases are tried on as many folds as it takes to judge 200 images that their weights have not seen;
of images in groups, of 20 groups besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune.data.manifest import Item
from finetune.evaluation.clusters import group_numbers
from finetune.evaluation.selection import ENOUGH, PhaseChoice, choose_phase
from finetune.recipe.schema import Recipe
from finetune.text import plural
from finetune.training.balance import image_weights
from finetune.training.folds import stratified_folds
from finetune.training.phases import PhaseResult, run_fit
from finetune.training.setting import Fit, Setting

ENOUGH_GROUPS = 20
"""Groups below which their spread is too badly known to judge by: where errors are taken between
groups, fewer than 20 to 50 are called few (Cameron and Miller 2015, section VI)."""


@dataclass(frozen=True)
class Verdict:
    """Which phase is kept, and what it was judged on.

    Attributes:
        choice: The phase that is kept and the reasons.
        logits: The kept phase's logits of the judged images, ``[M, C]``.
        items: The judged images.
        out_of_fold: Whether the judged images are training images, judged out-of-fold.
    """

    choice: PhaseChoice
    logits: np.ndarray
    items: Sequence[Item]
    out_of_fold: bool


def wants_folds(recipe: Recipe, validation: int) -> bool:
    """Whether ``validation`` images are too few to choose between the recipe's phases."""
    return recipe.keep == "best" and len(recipe.phases) > 1 and validation < ENOUGH


def judged_folds(
    labels: np.ndarray, groups: Sequence[str] | None, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds enough to judge `ENOUGH` images: pairs of positions to learn from and to judge.

    Groups are dealt out the largest first, so that a fold may hold one alone: of images in groups
    there are folds enough for `ENOUGH_GROUPS` too, or all. No folds at all where the images can't
    be cut in two, being of one group.
    """
    own = group_numbers(groups)
    enough, judged = [], list[int]()
    for learn, judge in stratified_folds(labels, folds, seed, groups):
        if not len(learn):
            break
        enough.append((learn, judge))
        judged += judge.tolist()
        if len(judged) >= ENOUGH and (own is None or len(np.unique(own[judged])) >= ENOUGH_GROUPS):
            break
    return enough


def folds_of(setting: Setting, train: Sequence[Item]) -> list[tuple[np.ndarray, np.ndarray]]:
    """`judged_folds` of the training images, as the recipe has them; groups stay whole."""
    recipe, groups = setting.recipe, [item.group for item in train]
    return judged_folds(setting.labels(train), groups, recipe.judge_folds, recipe.seed)


def judge_out_of_fold(setting: Setting, train: Sequence[Item], monitor: Sequence[Item]) -> Verdict:
    """Try the phases on folds of the training images and choose among them."""
    recipe, folds = setting.recipe, folds_of(setting, train)
    held = [train[place] for _, judge in folds for place in judge]
    setting.reporter.say(
        f"Choosing between phases on {plural(len(held), 'training image')} out-of-fold "
        f"({plural(len(folds), 'fold')}): the validation part has fewer than {ENOUGH}."
    )
    fits = []
    for number, (learn, judge) in enumerate(folds, 1):
        held_out = [train[i] for i in judge]
        fit = Fit(f"fold-{number}", [train[i] for i in learn], held_out, monitor)
        fits.append(run_fit(setting, fit))
        for result in fits[-1]:
            result.store.forget_weights()  # what is asked for from here on are its answers
    logits = [
        np.concatenate([fit[position].judged for fit in fits])
        for position in range(len(recipe.phases))
    ]
    return _verdict(setting, logits, held, "training images, out-of-fold", out_of_fold=True)


def judge_on_validation(
    setting: Setting, results: Sequence[PhaseResult], validation: Sequence[Item]
) -> Verdict:
    """Choose among the phases of the main fit by the validation images."""
    logits = [result.judged for result in results]
    return _verdict(setting, logits, validation, "validation images", out_of_fold=False)


def _verdict(
    setting: Setting,
    logits: Sequence[np.ndarray],
    items: Sequence[Item],
    judged_on: str,
    *,
    out_of_fold: bool,
) -> Verdict:
    names = [phase.name for phase in setting.recipe.phases]
    labels = setting.labels(items)
    balanced = setting.recipe.judged_balanced and len(labels)
    weights = image_weights(labels, "balanced") if balanced else None
    groups = group_numbers([item.group for item in items])
    choice = choose_phase(
        logits, labels, names, judged_on=judged_on, weights=weights, groups=groups
    )
    for reason in choice.reasons:
        setting.reporter.say(reason)
    return Verdict(choice, logits[choice.kept], items, out_of_fold)
