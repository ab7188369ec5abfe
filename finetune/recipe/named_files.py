"""Keys that name a file to read, which the person at the command line alone may give.

A recipe can come from anybody, so it must not make the program read what the command line didn't
name. Such a key is accepted after ``--set`` and in a `Recipe` that Python code hands in, refused in
a recipe file, and cleared in the recipe that a run keeps, so that it can be used again as a file.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar

from finetune.recipe.faults import Fault
from finetune.recipe.outline import outline, places
from finetune.recipe.sections import Section

if TYPE_CHECKING:
    from finetune.recipe.schema import Recipe
    from finetune.recipe.tree import Node

_Section = TypeVar("_Section", bound=Section)


@cache
def command_line_keys() -> tuple[str, ...]:
    """The dotted keys of this kind, in the schema's order."""
    return tuple(key for key, place in places(outline()) if place.command_line_only)


def named_in_a_file(tree: Node) -> list[str]:
    """A fault for each such key that a recipe file says something of; ``null`` says nothing."""
    told = []
    for key in command_line_keys():
        path = tuple(key.split("."))
        node = tree.at(path)
        if node is tree.at(path[:-1]) or node.value is None:
            continue
        message = f"a recipe file can't name files to read; give it by --set {key}=FILE"
        told.append(str(Fault(node.origin, path, message)))
    return told


def named_files(recipe: Recipe) -> dict[str, str]:
    """What ``recipe`` names, by dotted key."""
    named = {key: _value(recipe, key.split(".")) for key in command_line_keys()}
    return {key: str(value) for key, value in named.items() if value is not None}


def without_named_files(recipe: Recipe) -> Recipe:
    """``recipe`` as a file may say it."""
    for key in named_files(recipe):
        recipe = _cleared(recipe, key.split("."))
    return recipe


def _value(section: Section, keys: list[str]) -> object:
    value = getattr(section, keys[0])
    return _value(value, keys[1:]) if keys[1:] else value


def _cleared(section: _Section, keys: list[str]) -> _Section:
    below = _cleared(getattr(section, keys[0]), keys[1:]) if keys[1:] else None
    return section.model_copy(update={keys[0]: below})
