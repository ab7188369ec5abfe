"""The trainings of a cross-validation: who learns from what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.data.manifest import Item, Manifest
from finetune.data.randomness import Purpose, derived_seed
from finetune.errors import DataError
from finetune.experiments.trial import Trial, trial_of
from finetune.recipe.schema import Recipe
from finetune.text import listed, plural
from finetune.training.folds import stratified_folds


@dataclass(frozen=True)
class Fold:
    """One training of a cross-validation.

    Attributes:
        repeat: Which division into folds it belongs to, from 1.
        number: Which fold of it is left out, from 1.
        positions: Places of the fold's images in the pool, rising, ``[M]``.
        trial: What is learnt from and judged.
    """

    repeat: int
    number: int
    positions: npt.NDArray[np.int64]
    trial: Trial


def folds_of_pool(
    manifest: Manifest, pool: Sequence[Item], recipe: Recipe, folds: int, repeats: int
) -> list[Fold]:
    """Cut the images into ``folds``, ``repeats`` times, each time in another way.

    Folds hold each class alike and never cut a group. Each image is in one fold of each repeat.

    Raises:
        DataError: There are fewer images, or groups, than folds.
    """
    return [
        fold
        for repeat in range(1, repeats + 1)
        for fold in _one_repeat(manifest, pool, recipe, folds, repeat)
    ]


def _one_repeat(
    manifest: Manifest, pool: Sequence[Item], recipe: Recipe, folds: int, repeat: int
) -> Iterator[Fold]:
    groups = [item.group for item in pool] if any(item.group for item in pool) else None
    seed = derived_seed(recipe.seed, Purpose.OUTER_FOLDS, repeat)
    pairs = stratified_folds(manifest.labels(pool), folds, seed, groups)
    if len(pairs) < folds:
        what = plural(len(pairs), "image" if groups is None else "group")
        raise DataError(
            f"{what} can't be cut into {folds} folds",
            where=str(manifest.root),
            mend="Ask for fewer folds, two at least, or give more images.",
        )
    for number, (outside, inside) in enumerate(pairs, 1):
        learnt, judged = [pool[i] for i in outside], [pool[i] for i in inside]
        trial = trial_of(f"{repeat}-{number}", learnt, judged, recipe.data, recipe.seed)
        yield Fold(repeat, number, inside, trial)


def fold_warnings(pool: Sequence[Item], folds: int) -> Iterator[str]:
    """What the counts of images mean for the scores of single folds."""
    counts = Counter(item.label for item in pool)
    lonely = sorted(label for label, count in counts.items() if count == 1)
    few = sorted(label for label, count in counts.items() if 1 < count < folds)
    if lonely:
        count = plural(len(lonely), "class", "classes")
        yield f"{count} of one image, which is asked for where it is not learnt: {listed(lonely)}"
    if few:
        count = plural(len(few), "class", "classes")
        yield f"{count} of fewer images than folds, so that some folds have none: {listed(few)}"
