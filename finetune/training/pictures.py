"""A run's decoded pictures, kept from epoch to epoch and from fit to fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import PIL

from finetune.data.fitting import Pixels
from finetune.data.images import Kept
from finetune.data.loading import picture_loader
from finetune.data.manifest import Item
from finetune.features.pictures import keep_pictures
from finetune.recipe.schema import AugmentOptions
from finetune.training.setting import Setting

_WAY = 1
"""Counts up when the way from a file to its picture changes."""


def pictures_of(setting: Setting, items: Sequence[Item], options: AugmentOptions) -> Kept | None:
    """The pictures that views of ``items`` are made of; None where the store has no room."""
    from finetune.data.transforms import Augmentation

    described = {
        "pictures": Augmentation(setting.spec, options, 0, None).preparation,
        "way": _WAY,
        "input": setting.spec.to_dict(),
        "pillow": PIL.__version__,
    }
    shelf = setting.shelf(described)
    if shelf is None:
        return None

    def decode(chosen: list[int]) -> Iterable[list[Pixels]]:
        some = [items[position] for position in chosen]
        return picture_loader(setting.manifest, some, setting.reading, options)

    kept = keep_pictures(shelf, [item.digest for item in items], decode, setting.reporter)
    if kept is None:
        setting.say_not_kept("the decoded pictures", "each epoch decodes them")
    return kept
