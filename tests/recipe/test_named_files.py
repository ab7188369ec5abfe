from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from finetune.errors import RecipeError
from finetune.recipe.loading import load_recipe, resolve
from finetune.recipe.named_files import command_line_keys, named_files, without_named_files
from finetune.recipe.reference import json_schema
from finetune.recipe.writing import dump

if TYPE_CHECKING:
    from tests.recipe.conftest import Write

PROBE = "phases:\n- {name: probe, solver: lbfgs}\n"


def with_value(key: str, value: str) -> str:
    section, last = key.split(".")
    return f"{PROBE}{section}:\n  {last}: {value}\n"


def test_the_keys_are_those_that_the_schema_marks() -> None:
    assert "data.splits" in command_line_keys()


@pytest.mark.parametrize("key", command_line_keys())
def test_a_recipe_file_names_no_file_to_read(write: Write, key: str) -> None:
    parent = write("parent.yaml", with_value(key, "/home/else/data.csv"))
    child = write("child.yaml", "extends: parent.yaml\n")
    for file in (parent, child):
        with pytest.raises(RecipeError) as caught:
            load_recipe(file, [f"{key}=mine.csv"])
        assert str(caught.value) == (
            f"{parent}:4: {key}: a recipe file can't name files to read; "
            f"give it by --set {key}=FILE"
        )


def test_it_is_told_together_with_other_faults(write: Write) -> None:
    file = write("mine.yaml", with_value("data.splits", "x.csv") + "  vall: 3\n")
    with pytest.raises(RecipeError, match=r"(?s)can't name files.*unknown key; the nearest is val"):
        load_recipe(file)


@pytest.mark.parametrize("key", command_line_keys())
def test_the_command_line_and_python_code_may_name_it(write: Write, key: str) -> None:
    recipe = load_recipe(write("mine.yaml", PROBE), [f"{key}=mine.csv"])
    assert named_files(recipe) == {key: "mine.csv"}
    assert named_files(resolve(recipe, ["seed=3"])) == {key: "mine.csv"}
    assert named_files(resolve(recipe, [f"{key}=null"])) == {}


def test_the_recipe_of_a_run_can_be_used_again(write: Write) -> None:
    recipe = resolve(
        load_recipe(write("mine.yaml", PROBE), [f"{k}=mine.csv" for k in command_line_keys()])
    )
    kept = without_named_files(recipe)
    assert named_files(kept) == {}
    assert load_recipe(write("recipe.yaml", dump(kept))) == kept
    assert without_named_files(kept) == kept


def test_the_schema_for_editors_allows_null_alone() -> None:
    splits = json_schema()["$defs"]["DataOptions"]["properties"]["splits"]
    assert splits["type"] == "null"
