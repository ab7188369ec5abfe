from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.recipe.outline import outline, places
from finetune.recipe.reference import json_schema, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "recipe.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_the_page_has_every_key_once_with_its_default_and_choices() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    told = [row.split("`")[1] for row in rows]
    for key, _ in places(outline()):
        if not key.startswith("phases.N.augment."):
            assert key in told
    twice = {key for key in told if told.count(key) > 1}
    both = {"name", "train", "loss", "loss.class_weights"}
    assert twice == {f"phases.N.{key}" for key in both}, "both kinds of phase have these"
    assert (
        "| `input.fit` | crop, squash or letterbox | `crop` | How a picture fits the square:"
        in reference()
    )
    assert "| `phases.N.clip_norm` | a number, above 0, or null | `1.0` |" in reference()
    assert "Its keys are those of `augment`." in reference()


def test_tables_are_well_formed() -> None:
    for line in reference().splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 5


def test_the_json_schema_allows_what_a_file_may_say() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["extends"]["type"] == "string"
    assert "required" not in schema
    assert {"required": ["extends"]} in schema["anyOf"]
    assert "solver" in schema["$defs"]["SolverPhase"]["required"]


def test_the_json_schema_holds_together() -> None:
    schema = json_schema()
    nodes = list(_nodes(schema))
    references = {node["$ref"] for node in nodes if isinstance(node.get("$ref"), str)}
    assert references == {f"#/$defs/{name}" for name in schema["$defs"]}
    assert all("$id" not in node for node in nodes)
    assert [node["title"] for node in nodes if isinstance(node.get("title"), str)] == [
        "A recipe of finetune"
    ]


def test_making_the_json_schema_twice_gives_the_same() -> None:
    assert json_schema() == json_schema()


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    children = schema.values() if isinstance(schema, dict) else schema
    if isinstance(schema, dict | list):
        for child in children:
            yield from _nodes(child)
