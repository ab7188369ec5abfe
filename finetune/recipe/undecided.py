"""``auto``: what stands for a recipe that is chosen once DATA and the machine were looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune.recipe.catalogue import AUTO
from finetune.recipe.loading import load_recipe, resolve
from finetune.recipe.overrides import parse
from finetune.recipe.schema import Recipe

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

_CHOSEN_LAST = ("phases", "augment", "keep")
"""Sections that nothing hangs on until the images were read and the network was loaded."""


def is_undecided(recipe: object) -> bool:
    """Whether ``recipe`` is `AUTO`; a file is known by its suffix."""
    return isinstance(recipe, str) and recipe == AUTO


def groundwork(overrides: Sequence[str]) -> Recipe:
    """A linear probe with defaults and ``overrides``: enough to read DATA and load the network by.

    Raises:
        RecipeError: An override can't be followed.
    """
    plain = Recipe.model_validate({"name": AUTO, "phases": [{"name": "probe", "solver": "lbfgs"}]})
    return resolve(plain, early_of(overrides))


def early_of(overrides: Sequence[str]) -> list[str]:
    """The overrides that count before the phases are chosen.

    Raises:
        RecipeError: One can't be read.
    """
    return [text for text in overrides if parse(text).keys[0] not in _CHOSEN_LAST]


def known(recipe: Recipe | str | os.PathLike[str], overrides: Sequence[str]) -> Recipe:
    """The recipe; where it is yet to be chosen, what is known of it: its name, how DATA is read.

    Raises:
        RecipeError: It can't be found, read or followed.
    """
    return groundwork(overrides) if is_undecided(recipe) else resolve(recipe, overrides)


def check_overrides(overrides: Sequence[str], *, scratch: bool) -> None:
    """See to it that ``overrides`` can be followed by what may be chosen, before any work.

    Args:
        overrides: ``KEY=VALUE`` each.
        scratch: Whether there are no pretrained weights, so that other phases will be chosen.

    Raises:
        RecipeError: A key or value that no recipe has.
    """
    load_recipe("small_scratch" if scratch else "lp_ft", overrides)
