from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.recipe.commenting import commented
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe
from finetune.recipe.writing import dump
from tests.recipe.strategies import TEXT, recipes

KEYS = ["name", "input.size", "phases", "keep", "augment", "augment.transforms", "no.such.key"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipes(), st.dictionaries(st.sampled_from(KEYS), TEXT), st.lists(TEXT, max_size=3))
def test_comments_change_nothing_that_is_read(
    recipe: Recipe, reasons: dict[str, str], header: list[str]
) -> None:
    inner = {f"phases.{phase.name}.train": "\x85# why\n: - x" for phase in recipe.phases}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        text = commented(recipe, header, reasons | inner)
        file.write_text(text, encoding="utf-8", newline="")
        assert load_recipe(file) == recipe


def test_a_comment_stands_above_its_key() -> None:
    reasons = {"input.fit": "Why so.", "phases.tune.epochs": "Long " * 30, "keep": "Only then."}
    lines = commented(load_recipe("lp_ft"), ["What it is."], reasons).splitlines()
    assert lines[0] == "# What it is."
    assert lines[lines.index("  fit: crop") - 1] == "  # Why so."
    above = lines[lines.index("  epochs: 8") - 2 : lines.index("  epochs: 8")]
    assert all(line.startswith("  # Long Long") and len(line) <= 100 for line in above)
    assert lines[lines.index("keep: best") - 1] == "# Only then."


def test_without_comments_it_is_the_plain_recipe() -> None:
    recipe = load_recipe("lp_ft")
    assert commented(recipe, [], {}) == dump(recipe)
    assert yaml.safe_load(commented(recipe, ["a: b"], {"keep": "x: y"})) == yaml.safe_load(
        dump(recipe)
    )
