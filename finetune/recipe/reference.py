"""The schema for editors and for people: a JSON schema and a page of every key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finetune.recipe.outline import Outline, outline
from finetune.recipe.schema import Recipe
from finetune.recipe.sections import COMMAND_LINE_ONLY

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INTRODUCTION = """\
# Every key of a recipe

This page is made from the schema by `finetune.recipe.reference`; a test compares the two.

A recipe is a YAML file. `finetune recipes list` names those that come with `finetune`,
`finetune recipes copy NAME` makes one yours, and `finetune recipes check FILE` tells all that is
wrong with it. Any key can also be set from the command line: `--set phases.tune.epochs=5`.

`N` is a position in a list, from 0; `--set` also takes the `name` of what stands there. A key
that isn't given has its default; one with the default *required* must be given. `null` takes back
what a recipe says: `--set phases.tune.epochs=null --set phases.tune.steps=500`.

Beside the keys below, a file may say `extends: NAME` (of the catalogue) or `extends: FILE` (in the
same folder): mappings are merged into what that recipe says, lists and plain values replace it.
`name` may be left out of a file; it is then the file's own name.
"""


def json_schema() -> dict[str, Any]:
    """A JSON schema (draft 2020-12) of recipe files, for editors."""
    schema: dict[str, Any] = _of_files(_untitled(Recipe.model_json_schema()))
    schema["properties"]["extends"] = {
        "type": "string",
        "minLength": 1,
        "description": "A recipe of the catalogue by name, or a file in the same folder.",
    }
    del schema["required"]
    schema["anyOf"] = [{"required": ["phases"]}, {"required": ["extends"]}]
    phases = schema["$defs"]
    phases["SolverPhase"]["required"].append("solver")
    phases["GradientPhase"]["anyOf"] = [{"required": ["epochs"]}, {"required": ["steps"]}]
    return {"$schema": _DIALECT, "title": "A recipe of finetune", **schema}


def reference() -> str:
    """The page of every key, in Markdown."""
    whole = outline()
    parts = [_INTRODUCTION, *_section("", "The recipe", whole, seen={})]
    return "\n".join(parts)


def _untitled(schema: Any, *, names: bool = False) -> Any:
    """``schema`` without pydantic's titles; where ``names``, its keys are names of the recipe."""
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(value, names=not names and key in ("properties", "$defs"))
        for key, value in schema.items()
        if names or key != "title"
    }


def _of_files(schema: Any) -> Any:
    """``schema`` with null alone where a file may not say more."""
    if isinstance(schema, list):
        return [_of_files(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if COMMAND_LINE_ONLY in schema:
        return {"type": "null", "description": schema["description"]}
    return {key: _of_files(value) for key, value in schema.items()}


def _section(prefix: str, title: str, here: Outline, seen: dict[str, str]) -> Iterator[str]:
    """A heading, a table of the keys, and the sections beneath, each told once."""
    seen[here.section] = prefix
    yield f"## {title}\n"
    yield f"{here.about}\n"
    yield "| key | takes | default | |"
    yield "|---|---|---|---|"
    yield from (_row(prefix + key, child, seen) for key, child in here.keys.items())
    yield ""
    for key, child in here.keys.items():
        yield from _beneath(f"{prefix}{key}", child, seen)


def _beneath(key: str, place: Outline, seen: dict[str, str]) -> Iterator[str]:
    nested = place.items or place
    prefix = f"{key}.N." if place.items else f"{key}."
    for kind, each in nested.kinds.items():
        yield from _section(prefix, f"`{prefix[:-1]}`, {kind} phase", each, seen)
    if nested.section and nested.section not in seen:
        yield from _section(prefix, f"`{prefix[:-1]}`", nested, seen)


def _row(key: str, place: Outline, seen: dict[str, str]) -> str:
    told = seen.get(place.section) if place.section else None
    beneath = f" Its keys are those of `{told.rstrip('.')}`." if told else ""
    description = f"{place.description}{beneath}"
    return f"| `{key}` | {_cell(place.expects)} | {_default(place)} | {_cell(description)} |"


def _default(place: Outline) -> str:
    if place.required:
        return "*required*"
    if place.values is not None:
        return "`{}`"
    if place.default is None and place.section and "null" not in place.expects:
        return ""
    plain = {None: "null", True: "true", False: "false"}
    value = place.default
    return f"`{plain[value] if value is None or isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
