"""``--set KEY=VALUE``: a recipe changed from the command line.

KEY is dotted; a place in a list is its position or the ``name`` that stands there
(``phases.1.epochs``, ``phases.tune.epochs``). VALUE is YAML. As in ``extends``, a mapping is merged
into what is there and anything else replaces it; what is absent or null on the way is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.errors import RecipeError
from finetune.recipe.faults import Fault, nearest, together
from finetune.recipe.tree import Node, Origin, dotted, merged
from finetune.recipe.yaml_reader import MAX_DEPTH, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Override:
    """One ``--set``, read.

    Attributes:
        keys: The parts of its key.
        node: Its value.
    """

    keys: tuple[str, ...]
    node: Node


class _NoSuchPlaceError(Exception):
    """A key leads to a place that its list doesn't have."""


def parse(text: str) -> Override:
    """Read one ``KEY=VALUE``.

    Raises:
        RecipeError: It has no such form, or the value is no YAML.
    """
    key, equals, value = text.partition("=")
    keys = tuple(part.strip() for part in key.split("."))
    if not equals or not all(keys):
        raise together([_fault(text, "give KEY=VALUE, such as phases.tune.epochs=5")])
    if len(keys) > MAX_DEPTH:
        raise together([_fault(text, f"its key has more than {MAX_DEPTH} parts")])
    if keys[0] == "extends":
        raise together([_fault(text, "extends can stand in a file only")])
    return Override(keys, read_text(value, _option(text), option=True))


def apply(tree: Node, overrides: Iterable[str]) -> tuple[Node, list[str]]:
    """``tree`` as the overrides leave it, one after another, and what was wrong with them.

    Keys that the schema doesn't have are put in as well: checking the tree finds them.
    """
    told: list[str] = []
    for text in overrides:
        try:
            override = parse(text)
            tree = _put(tree, override.keys, override.node, ())
        except RecipeError as error:
            told.append(error.found)
        except _NoSuchPlaceError as error:
            told.append(str(_fault(text, str(error))))
    return tree, told


def sets(overrides: Sequence[str], key: str) -> bool:
    """Whether an override says something about ``key`` itself, such as ``model.backbone``.

    Raises:
        RecipeError: An override can't be read.
    """
    wanted = tuple(key.split("."))
    return any(_says(parse(text), wanted) for text in overrides)


def _says(override: Override, wanted: tuple[str, ...]) -> bool:
    common = len(override.keys)
    if override.keys != wanted[:common]:
        return False
    node = override.node
    for part in wanted[common:]:
        if part not in node.children:
            return False
        node = node.children[part]
    return True


def _put(node: Node | None, keys: tuple[str, ...], new: Node, path: tuple[str, ...]) -> Node:
    """``node`` with ``new`` at ``keys`` beneath it; ``path`` led to ``node``."""
    if not keys:
        return merged(node, new) if node else new
    here, below = (*path, keys[0]), keys[1:]
    if node and isinstance(node.value, tuple):
        position = _position(node, keys[0], path)
        items = list(node.value)
        items[position] = _put(items[position], below, new, here)
        return Node(tuple(items), node.origin)
    children = dict(node.children) if node else {}
    children[keys[0]] = _put(children.get(keys[0]), below, new, here)
    origin = node.origin if node and isinstance(node.value, dict) else new.origin
    return Node(children, origin)


def _position(node: Node, key: str, path: tuple[str, ...]) -> int:
    """Where in the list ``key`` points to."""
    if key.isdecimal() and int(key) < len(node.value):
        return int(key)
    names = [
        str(item.children["name"].value) if "name" in item.children else "" for item in node.value
    ]
    if key in names:
        return names.index(key)
    close = nearest(key, [name for name in names if name])
    hint = f"; the nearest is {close}" if close else ""
    there = ", ".join(f"{i} ({name})" if name else str(i) for i, name in enumerate(names))
    raise _NoSuchPlaceError(f"{dotted(path)} has no {key}{hint} (there are: {there or 'none'})")


def _option(text: str) -> str:
    return f"--set {text}"


def _fault(text: str, message: str) -> Fault:
    return Fault(Origin(_option(text)), (), message)
