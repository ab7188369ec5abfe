"""Valid recipes drawn from the JSON schema, so that a new key is covered without being listed."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from finetune.recipe.reference import json_schema
from finetune.recipe.schema import Recipe

SCHEMA = json_schema() | {"required": ["name", "phases"]}
del SCHEMA["properties"]["extends"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["no", "on", "null", "~", "3e-4", "1e5", "0x1F", "1_000", "12:30", "2024-01-01", "<<", "=", "-"]
)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "properties" in schema:
        return _objects(schema)
    if "$ref" in schema:
        return values(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return st.one_of([values(option) for option in schema[key]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _OF_TYPE[schema["type"]](schema)


def _integers(schema: dict[str, Any]) -> st.SearchStrategy[int]:
    high = schema.get("maximum", schema.get("exclusiveMaximum", 10**6 + 1) - 1)
    return st.integers(schema.get("minimum"), high)


def _floats(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    return st.floats(
        above if low is None else low,
        below if high is None else high,
        exclude_min=above is not None,
        exclude_max=below is not None,
        allow_nan=False,
        allow_infinity=False,
    )


def _strings(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    return TEXT.filter(lambda text: len(text) >= schema.get("minLength", 0))


def _lists(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" not in schema:
        return st.dictionaries(TEXT, values(schema["additionalProperties"]), max_size=3)
    keys = {key: values(value) for key, value in schema["properties"].items()}
    required = schema.get("required", [])
    return st.fixed_dictionaries(
        {key: keys[key] for key in required},
        optional={key: value for key, value in keys.items() if key not in required},
    )


_OF_TYPE: dict[str, Any] = {
    "boolean": lambda _: st.booleans(),
    "integer": _integers,
    "number": _floats,
    "string": _strings,
    "null": lambda _: st.none(),
    "array": _lists,
    "object": _objects,
}


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """A recipe that also keeps the rules between keys, which a JSON schema can't say."""
    tree = draw(values(SCHEMA))
    tree.get("data", {}).update(val=draw(st.floats(0, 0.4)), test=draw(st.floats(0, 0.4)))
    if isinstance(tree.get("data", {}).get("group"), dict):
        pattern = {"pattern": re.escape(draw(TEXT.filter(bool)))}
        tree["data"]["group"] = draw(st.sampled_from([pattern, {"exif": 2.5}]))
    tree["track"] = sorted(set(tree.get("track", [])))
    for position, phase in enumerate(tree["phases"]):
        phase["name"] = f"{phase['name'][:30]}{position}"
        if "solver" not in phase and (phase.get("epochs") is None) == (phase.get("steps") is None):
            phase.update(epochs=draw(st.integers(1, 99)), steps=None)
        _drop_ruled_out(phase)
        _raise_rates(phase.get("optimizer", {}))
        schedule = phase.get("lr_schedule", {})
        if schedule:
            rising = st.sets(st.floats(0.01, 0.99), min_size=1, max_size=3).map(sorted)
            schedule["milestones"] = draw(rising) if schedule.get("name") == "step" else None
            if schedule.get("name") != "step":
                schedule.pop("gamma", None)
            if schedule.get("name") in ("step", "constant"):
                schedule.pop("final", None)
    if any(_balanced_by(phase) for phase in tree["phases"]):
        tree.get("evaluate", {}).pop("logit_adjustment", None)
    return Recipe.model_validate(tree, strict=True)


def _drop_ruled_out(phase: dict[str, Any]) -> None:
    """Drop options of the phase that others of it rule out."""
    if phase.get("solver") == "prototype":
        phase.pop("l2", None)
        phase.pop("loss", None)
    for name in _balanced_by(phase)[1:]:
        (phase if name == "sampling" else phase["loss"]).pop(name)
    if phase.get("sampling", "natural") == "natural":
        phase.pop("epoch_images", None)
    swa = phase.get("swa")
    short = swa is not None and (phase.get("epochs") or 100_000) < swa.get("epochs", 5)
    if phase.get("ema") is not None or phase.get("early_stopping") is not None or short:
        phase.pop("swa", None)
    if phase.get("train") == "head":
        phase.pop("l2_sp", None)
        phase.pop("co_tuning", None)


def _raise_rates(optimizer: dict[str, Any]) -> None:
    """Sort the rates of a race; of one that is left, make a rate."""
    if isinstance(optimizer.get("lr"), dict):
        rates = sorted(set(optimizer["lr"]["race"]))
        optimizer["lr"] = {"race": rates} if len(rates) > 1 else rates[0]


def _balanced_by(phase: dict[str, Any]) -> list[str]:
    loss = phase.get("loss", {})
    given = {
        "class_weights": loss.get("class_weights", "none") != "none",
        "logit_adjustment": loss.get("logit_adjustment", 0) > 0,
        "sampling": phase.get("sampling", "natural") != "natural",
        "solver": phase.get("solver") == "prototype",
    }
    return [name for name, used in given.items() if used]
