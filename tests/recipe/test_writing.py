from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from finetune.recipe.catalogue import Entry, catalogue
from finetune.recipe.loading import load_recipe, resolve
from finetune.recipe.schema import GradientPhase, Recipe, TransformOptions
from finetune.recipe.writing import dump
from tests.recipe.strategies import recipes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipes())
def test_what_is_written_reads_back_equal(recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(dump(recipe), encoding="utf-8", newline="")
        assert load_recipe(file) == recipe


@pytest.mark.parametrize("shipped", catalogue(), ids=lambda each: each.name)
def test_other_yaml_readers_read_the_same(shipped: Entry) -> None:
    recipe = load_recipe(shipped.name)
    assert Recipe.model_validate(yaml.safe_load(dump(recipe)), strict=True) == recipe


@pytest.mark.parametrize("text", ["no", "on", "3e-4", "1e5", "null", "~", "5", "2024-01-01"])
def test_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    recipe = load_recipe("lp_ft")
    transform = TransformOptions(name=text, args={"value": text})
    augment = recipe.augment.model_copy(update={"transforms": [transform]})
    assert f"'{text}'" in dump(recipe.model_copy(update={"augment": augment}))


def test_every_key_is_written_in_the_schemas_order() -> None:
    recipe = load_recipe("lp_ft")
    written = yaml.safe_load(dump(recipe))
    assert list(written) == list(Recipe.model_fields)
    for phase, tree in zip(recipe.phases, written["phases"], strict=True):
        assert list(tree) == list(type(phase).model_fields)


def test_equal_parts_are_written_out_each_time() -> None:
    recipe = load_recipe("lp_ft")
    assert "&" not in dump(recipe.model_copy(update={"phases": [recipe.phases[0]] * 2}))


@pytest.mark.parametrize("text", ["\x85", "a\u2028b", "\u2029"])
def test_line_breaks_of_unicode_read_back(text: str) -> None:
    phase = {"name": "p", "train": text, "epochs": 1}
    recipe = Recipe.model_validate({"name": "r", "phases": [phase]})
    read = resolve(recipe).phases[0]
    assert isinstance(read, GradientPhase)
    assert read.train == text
