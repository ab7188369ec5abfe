"""What may stand at each place of a recipe, in plain words; made from the schema."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from finetune.recipe.schema import Recipe
from finetune.recipe.sections import COMMAND_LINE_ONLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from finetune.recipe.tree import Path

_PLAIN_TYPES = {"boolean", "integer", "number", "string"}


@dataclass(frozen=True)
class Outline:
    """One place of a recipe.

    Attributes:
        expects: What may stand there: ``a whole number, from 2 to 20``.
        description: What it is for.
        about: What a section is as a whole.
        default: What holds where it isn't given, as JSON has it; `None` also where it has none.
        required: Whether it must be given.
        section: Name of the schema's class for a mapping with known keys, else empty.
        keys: The known keys of a mapping.
        values: What stands at each key of a mapping without known keys.
        items: What stands at each position of a list.
        kinds: The forms that a mapping can take, by name (``solver``, ``gradient``).
        command_line_only: A recipe file may not hold it.
    """

    expects: str
    description: str = ""
    about: str = ""
    default: Any = None
    required: bool = False
    section: str = ""
    keys: Mapping[str, Outline] = field(default_factory=dict)
    values: Outline | None = None
    items: Outline | None = None
    kinds: Mapping[str, Outline] = field(default_factory=dict)
    command_line_only: bool = False

    def child(self, part: str | int) -> Outline | None:
        """What may stand one step down."""
        return self.items if isinstance(part, int) else self.keys.get(part, self.values)


@cache
def outline() -> Outline:
    """The outline of a whole recipe."""
    schema = Recipe.model_json_schema()
    return _outline(schema, schema["$defs"])


def locate(location: Sequence[str | int]) -> tuple[Path, Outline]:
    """Follow a location of pydantic's as far as it leads through keys and positions.

    Pydantic puts the names of union members between keys; the kinds of a phase and a section
    beside plain words are followed without becoming part of the path, other unions end it.
    """
    path: Path = ()
    here = outline()
    for part in location:
        if here.section and here.section in str(part):  # "function-after[..., GroupOptions]"
            continue
        if part in here.kinds:
            here = here.kinds[str(part)]
            continue
        child = here.child(part)
        if child is None:
            break
        path, here = (*path, part), child
    return path, here


def places(within: Outline, prefix: str = "") -> Iterator[tuple[str, Outline]]:
    """Every dotted key beneath ``within``; ``N`` stands for a position in a list."""
    for key, child in within.keys.items():
        yield prefix + key, child
        yield from places(child, f"{prefix}{key}.")
    for nested in (within.items, *within.kinds.values()):
        if nested is not None:
            yield from places(nested, f"{prefix}N." if nested is within.items else prefix)


def _outline(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Outline:
    options = schema.get("anyOf", ())
    real = [option for option in options if option.get("type") != "null"]
    if len(real) == 1 and len(options) == 2:
        inner = _outline({**real[0], **_notes(schema)}, definitions)
        return replace(inner, expects=f"{inner.expects}, or null")
    if len(sections := [option for option in options if "$ref" in option]) == 1:
        inner = _outline({**sections[0], **_notes(schema)}, definitions)
        return replace(inner, expects=_any_of(options))
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        inner = _outline({**target, **_notes(schema)}, definitions)
        return replace(inner, about=target["description"])
    return Outline(
        expects=_expects(schema),
        description=schema.get("description", ""),
        about=schema.get("description", ""),
        default=schema.get("default"),
        section=schema["title"] if "properties" in schema else "",
        keys=_keys(schema, definitions),
        values=_part(schema, "additionalProperties", definitions),
        items=_part(schema, "items", definitions),
        kinds=_kinds(schema, definitions),
        command_line_only=schema.get(COMMAND_LINE_ONLY, False),
    )


def _notes(schema: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("description", "default", COMMAND_LINE_ONLY)
    return {key: schema[key] for key in kept if key in schema}


def _keys(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Outline]:
    required = schema.get("required", ())
    return {
        key: replace(_outline(value, definitions), required=key in required)
        for key, value in schema.get("properties", {}).items()
    }


def _part(schema: Mapping[str, Any], key: str, definitions: Mapping[str, Any]) -> Outline | None:
    return _outline(schema[key], definitions) if isinstance(schema.get(key), dict) else None


def _kinds(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Outline]:
    """The kinds of a phase by the tags that the schema gives them (``SolverPhase``: ``solver``)."""
    outlines = [_outline(option, definitions) for option in schema.get("oneOf", ())]
    return {each.section.removesuffix("Phase").lower(): each for each in outlines}


def _expects(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return _any_of(schema["anyOf"])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return _either([str(value) for value in schema["enum"]])
    if schema.get("type") == "array":
        return _list(schema)
    words = {
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
        "string": "text",
        "null": "null",
    }
    return words.get(schema.get("type", "object"), "a mapping") + _bounds(schema)


def _any_of(options: Sequence[Mapping[str, Any]]) -> str:
    types = {option.get("type") for option in options}
    if types < _PLAIN_TYPES or not types >= _PLAIN_TYPES:
        return _either([_expects(option) for option in options])
    rest = [_expects(option) for option in options if option.get("type") not in _PLAIN_TYPES]
    return _either(["a plain value", *rest])


def _either(words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0]
    comma = "," if any(" " in word for word in words) else ""
    return f"{', '.join(words[:-1])}{comma} or {words[-1]}"


def _list(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if most:
        return f"a list of {least} to {most}" if least else f"a list of at most {most}"
    return f"a list (each {_expects(schema['items'])})"


def _bounds(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        return f" of the form `{schema['pattern']}`"
    if schema.get("minLength"):
        return ", not empty"
    if "minimum" in schema and "maximum" in schema:
        return f", from {_number(schema['minimum'])} to {_number(schema['maximum'])}"
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{word} {_number(schema[key])}" for key, word in words.items() if key in schema]
    return f", {' and '.join(bounds)}" if bounds else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
