"""From a recipe's name or file to the checked `Recipe`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import RecipeError
from finetune.recipe import overrides as overriding
from finetune.recipe.catalogue import catalogue, entry
from finetune.recipe.faults import Fault, nearest, shown, together
from finetune.recipe.named_files import named_in_a_file
from finetune.recipe.schema import Recipe
from finetune.recipe.tree import Node, Origin, merged
from finetune.recipe.validation import validate
from finetune.recipe.writing import dump
from finetune.recipe.yaml_reader import read_file, read_text
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CHAIN = 8
SUFFIXES = (".yaml", ".yml")

_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class _Source:
    """A recipe's file, and what faults call it."""

    path: Path
    shown: str


def load_recipe(name_or_file: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, with what it extends, and check it whole.

    Args:
        name_or_file: A name of the catalogue; or a YAML file, known by its suffix or by a
            separator in it.
        overrides: ``KEY=VALUE`` each, as after ``--set``.

    Raises:
        RecipeError: It can't be found, read or followed; all faults are told together.
    """
    file = _joined(_chain(_source(name_or_file)))
    tree, told = overriding.apply(file, overrides)
    return validate(tree, [*named_in_a_file(file), *told])


def resolve(recipe: Recipe | str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """As `load_recipe`; a recipe that is already loaded is taken as it is, with the overrides.

    Raises:
        RecipeError: It can't be found, read or followed; all faults are told together.
    """
    if not isinstance(recipe, Recipe):
        return load_recipe(recipe, overrides)
    tree, told = overriding.apply(read_text(dump(recipe), recipe.name), overrides)
    return validate(tree, told)


def recipe_file(name_or_file: str | os.PathLike[str]) -> Path:
    """The file of a recipe of the catalogue, or the file itself.

    Raises:
        RecipeError: There is none.
    """
    return _source(name_or_file).path


def _source(name_or_file: str | os.PathLike[str]) -> _Source:
    text = os.fspath(name_or_file)
    path = Path(text)
    if isinstance(name_or_file, str) and not _names_a_file(text):
        known = entry(text).path
        return _Source(known, known.name)
    if not path.is_file():
        found = "is no file" if path.exists() else "there is no such file"
        raise RecipeError(found, where=printable(text), mend=_instead_of(path))
    return _Source(path, text)


def _instead_of(path: Path) -> str:
    """Which recipe may have been meant by a file that isn't there."""
    if path.stem in {each.name for each in catalogue()}:
        return f"The catalogue's own is called {path.stem}, without a suffix."
    beside = [each.name for each in path.parent.glob("*") if each.suffix.lower() in SUFFIXES]
    close = nearest(path.name, sorted(beside))
    return f"Beside it there is {printable(close)}." if close else ""


def _names_a_file(text: str) -> bool:
    return text.lower().endswith(SUFFIXES) or "/" in text or os.sep in text


def _chain(source: _Source) -> list[tuple[_Source, Node]]:
    """The recipe, what it extends, what that extends, ..."""
    chain: list[tuple[_Source, Node]] = []
    while True:
        tree = read_file(source.path, source.shown)
        chain.append((source, tree.without("extends")))
        if "extends" not in tree.children:
            return chain
        source = _parent(source, tree.children["extends"])
        _check_chain(chain, source, tree.children["extends"].origin)


def _check_chain(chain: list[tuple[_Source, Node]], parent: _Source, origin: Origin) -> None:
    said = " extends ".join([*(source.shown for source, _ in chain), parent.shown])
    if any(parent.path.resolve() == source.path.resolve() for source, _ in chain):
        raise together([Fault(origin, ("extends",), f"goes round in a circle: {said}")])
    if len(chain) >= MAX_CHAIN:
        message = f"is more than {MAX_CHAIN} recipes deep: {said}"
        raise together([Fault(origin, ("extends",), message)])


def _parent(source: _Source, extends: Node) -> _Source:
    try:
        return _extended(source, extends.plain())
    except RecipeError as error:
        fault = Fault(extends.origin, ("extends",), error.found)
        raise together([fault], mend=error.mend) from error


def _extended(source: _Source, name: object) -> _Source:
    if not isinstance(name, str):
        found = shown(name)
        raise RecipeError(f"must be a recipe's name or a file in the same folder; got {found}")
    if name.lower().endswith(SUFFIXES) or _leads_elsewhere(name):
        path = _beside(source.path.parent, name)
        return _Source(path, str(Path(source.shown).parent / name))
    known = entry(name).path
    return _Source(known, known.name)


def _leads_elsewhere(name: str) -> bool:
    return any(sign in name for sign in ("/", "\\", ":", "\0")) or name in ("", ".", "..")


def _beside(folder: Path, name: str) -> Path:
    """The file ``name`` in ``folder`` itself: a recipe reads nothing that lies elsewhere."""
    path = folder / name
    if _leads_elsewhere(name):
        raise RecipeError(f"must be a recipe's name or a file in the same folder; got {name!r}")
    if not path.is_file():
        raise RecipeError(f"there is no file {name!r} in the same folder")
    if path.resolve().parent != folder.resolve():
        raise RecipeError(f"{name!r} is a link to another folder; copy the file here")
    return path


def _joined(chain: list[tuple[_Source, Node]]) -> Node:
    """The chain as one recipe; its name is its own, from its file where it says none."""
    source, own = chain[0]
    tree = reduce(merged, (node for _, node in reversed(chain)))
    if "name" in own.children:
        return tree
    stem = _NO_NAME.sub("_", source.path.stem).lstrip("_.-")[:64] or "recipe"
    name = Node(stem, Origin(source.shown, 1))
    return Node({"name": name, **tree.without("name").children}, tree.origin)
