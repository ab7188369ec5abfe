"""A tree checked against the schema, with each fault said in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from finetune.recipe.faults import Fault, nearest, shown, together
from finetune.recipe.outline import Outline, locate, outline, places
from finetune.recipe.schema import Recipe
from finetune.recipe.tree import Node, Path, option_beneath

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEND = "`finetune recipes schema` tells every key and what it takes."
_NO_PLAIN_VALUE = ("literal_error", "float_type")


def validate(tree: Node, told: Sequence[str] = ()) -> Recipe:
    """The recipe that ``tree`` stands for.

    Types are taken strictly: ``true`` is no number, ``"5"`` is text.

    Args:
        tree: A whole recipe.
        told: What was already found wrong, to be told together with the rest.

    Raises:
        RecipeError: There are such faults, or the schema finds some.
    """
    try:
        recipe = Recipe.model_validate(tree.plain(), strict=True)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        found = [_fault(each, tree) for each in errors if not _beside_the_point(each, tree)]
        found.sort(key=lambda fault: (fault.origin.source, fault.origin.line or 0))
        raise together([*told, *found], mend=_MEND) from error
    if told:
        raise together(told)
    return recipe


def _fault(error: Any, tree: Node) -> Fault:
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        return _unknown_key(location, tree)
    path, place = locate(location)
    if error["type"] == "missing":
        return Fault(tree.at(path).origin, path, f"is missing: {place.description}")
    if error["type"] == "value_error":
        return _broken_rule(path, place, str(error["ctx"]["error"]), tree)
    found = shown(tree.at(path).plain())
    return Fault(tree.at(path).origin, path, f"must be {place.expects}; got {found}")


def _beside_the_point(error: Any, tree: Node) -> bool:
    """Whether it says that a mapping is no plain value, where one kind of mapping may stand too."""
    path, place = locate(error["loc"])
    is_mapping = isinstance(tree.at(path).value, dict)
    return error["type"] in _NO_PLAIN_VALUE and bool(place.keys) and is_mapping


def _unknown_key(location: Sequence[str | int], tree: Node) -> Fault:
    section, place = locate(location[:-1])
    key = str(location[-1])
    path = (*section, key)
    message = _of_another_kind(key, place) or f"unknown key{_meant(key, place)}"
    valid = ", ".join(place.keys)
    return Fault(tree.at(path).origin, path, f"{message} (the keys here: {valid})")


def _of_another_kind(key: str, place: Outline) -> str:
    """What to say of a solver's key in a gradient phase, or the other way round."""
    phase = locate(("phases", 0))[1]
    kinds = {each.section: kind for kind, each in phase.kinds.items()}
    others = [each for each in phase.kinds.values() if each.section != place.section]
    if place.section not in kinds or not any(key in other.keys for other in others):
        return ""
    if kinds[place.section] == "solver":
        return f"a solver phase has no {key}; drop it, or drop solver to train by gradient descent"
    return f"only a solver phase has {key}; drop it, or say solver: lbfgs"


def _meant(key: str, place: Outline) -> str:
    close = nearest(key, list(place.keys))
    if close:
        return f"; the nearest is {close}"
    elsewhere = [name for name, _ in places(outline()) if name.rpartition(".")[2] == key]
    return f"; there is {elsewhere[0]}" if elsewhere else ""


def _broken_rule(path: Path, place: Outline, message: str, tree: Node) -> Fault:
    """A rule between keys; an option that touches them is the likelier culprit than the file.

    Rules about one key open with its name (``milestones: must rise``), which joins the path.
    """
    key, _, rest = message.partition(": ")
    if rest and key in place.keys:
        path, message = (*path, key), rest
    node = tree.at(path)
    return Fault(option_beneath(node) or node.origin, path, message)
