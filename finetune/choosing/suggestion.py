"""A suggested recipe: its choices, each with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finetune.recipe.commenting import commented
from finetune.recipe.loading import resolve
from finetune.recipe.overrides import parse
from finetune.recipe.schema import Recipe

_GIVEN = "Given by hand."


@dataclass(frozen=True)
class KeyChoice:
    """What one key is to hold.

    Attributes:
        key: The dotted key; a phase is called by its name.
        value: As JSON has it.
        reason: Why, in a sentence or two.
    """

    key: str
    value: Any
    reason: str

    def setting(self) -> str:
        """The choice as ``--set`` takes it."""
        return f"{self.key}={json.dumps(self.value)}"


@dataclass(frozen=True)
class Suggestion:
    """A recipe for some images and a machine, and why it is as it is.

    Attributes:
        recipe: The recipe, complete.
        choices: What was chosen; all other keys hold their defaults, or what was given by hand.
        about: Paragraphs on what was looked at, and what the training takes.
        given: Dotted keys that were given by hand.
    """

    recipe: Recipe
    choices: tuple[KeyChoice, ...]
    about: tuple[str, ...]
    given: tuple[str, ...] = ()

    @property
    def reasons(self) -> dict[str, str]:
        """Why each key holds what it does, by dotted key; what was given by hand says so."""
        chosen = {each.key: each.reason for each in self.choices if not self._is_given(each.key)}
        return chosen | dict.fromkeys(self.given, _GIVEN)

    def text(self) -> str:
        """The recipe as a YAML file with a comment at every choice."""
        return commented(self.recipe, self.about, self.reasons)

    def lines(self) -> tuple[str, ...]:
        """The choices, a line each, for people who wait."""
        kept = [each for each in self.choices if not self._is_given(each.key)]
        return tuple(f"{each.key}: {_first_sentence(each.reason)}" for each in kept)

    def _is_given(self, key: str) -> bool:
        return any(key == given or key.startswith(f"{given}.") for given in self.given)


def followed(base: Recipe, choices: Sequence[KeyChoice], overrides: Sequence[str] = ()) -> Recipe:
    """``base`` with the choices, and the overrides over them.

    Raises:
        RecipeError: An override can't be followed.
    """
    return resolve(base, [*(choice.setting() for choice in choices), *overrides])


def keys_of(overrides: Sequence[str]) -> tuple[str, ...]:
    """The dotted keys that overrides name.

    Raises:
        RecipeError: One can't be read.
    """
    return tuple(".".join(parse(text).keys) for text in overrides)


def _first_sentence(text: str) -> str:
    start, dot, _ = text.partition(". ")
    return f"{start}." if dot else start
