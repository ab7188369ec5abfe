"""What a recipe chooses, who chose it, and what each choice is for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from finetune.recipe.catalogue import catalogue
from finetune.recipe.loading import load_recipe
from finetune.recipe.outline import Outline, outline
from finetune.recipe.schema import Recipe

_RUN, _RECIPE, _AUTO = "this run", "the recipe", "this run, in place of auto"


@dataclass(frozen=True, slots=True)
class ChosenKey:
    """A key of the recipe that has not its default.

    Attributes:
        key: With dots; of a phase, by its name.
        value: As JSON has it, or a plain word.
        by: Who chose it: this run, the recipe of the catalogue, or the run in place of ``auto``.
        meaning: What it is for, in the words of the schema.
    """

    key: str
    value: str
    by: str
    meaning: str


@dataclass(frozen=True)
class Choices:
    """A recipe explained.

    Attributes:
        reasons: What the recipe of that name in the catalogue says of itself, by paragraph.
        chosen: The keys that have not their default.
    """

    reasons: list[str]
    chosen: list[ChosenKey]


def choices(recipe: Recipe) -> Choices:
    """What the run and its recipe chose, each with what it is for."""
    known = next((each for each in catalogue() if each.name == recipe.name), None)
    usual = {key: value for key, value, _ in _leaves(load_recipe(known.path))} if known else {}
    chosen = [
        ChosenKey(key, _word(value), _by(value, usual.get(key, place.default)), place.description)
        for key, value, place in _leaves(recipe)
        if place.required or (value != place.default and value != {})
    ]
    return Choices(_paragraphs(known.reasons) if known else [], chosen)


def _paragraphs(comment: str) -> list[str]:
    """Each begins with what it is about and a colon."""
    found = re.split(r"\n(?=[A-Z][a-z ]*: )", comment)
    return [" ".join(paragraph.split()) for paragraph in found if paragraph]


def _by(value: Any, usual: Any) -> str:
    if value == usual:
        return _RECIPE
    return _AUTO if usual == "auto" else _RUN


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


Leaf = tuple[str, Any, Outline]


def _leaves(recipe: Recipe) -> Iterator[Leaf]:
    """Each dotted key that holds no mapping of known keys, with its value and what may stand there.

    A phase stands by its name.
    """
    whole = outline()
    told = recipe.model_dump(mode="json", exclude={"name"})
    phases = told.pop("phases")
    yield from _beneath(told, whole, "")
    kinds = whole.keys["phases"].items
    for phase in phases:
        kind = "solver" if phase.get("solver") else "gradient"
        own = (kinds or whole).kinds[kind]
        yield from _beneath(phase, own, f"phases.{phase.pop('name')}.")


def _beneath(told: Mapping[str, Any], within: Outline, prefix: str) -> Iterator[Leaf]:
    for key, value in told.items():
        place = within.keys[key]
        if place.keys and isinstance(value, dict):
            yield from _beneath(value, place, f"{prefix}{key}.")
        else:
            yield prefix + key, value, place
