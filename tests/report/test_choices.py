from __future__ import annotations

import pytest

from finetune.recipe.catalogue import catalogue
from finetune.recipe.loading import load_recipe, resolve
from finetune.report.choices import choices


def test_who_chose_what_and_what_for() -> None:
    recipe = resolve("lp_ft", ["seed=5", "phases.tune.epochs=2"])
    sized = recipe.model_copy(update={"input": recipe.input.model_copy(update={"size": 96})})
    found = {choice.key: choice for choice in choices(sized).chosen}
    assert (found["seed"].value, found["seed"].by) == ("5", "this run")
    assert (found["phases.tune.epochs"].value, found["phases.tune.epochs"].by) == ("2", "this run")
    assert (found["phases.tune.train"].value, found["phases.tune.train"].by) == (
        "all", "the recipe",
    )  # fmt: skip
    assert found["input.size"].by == "this run, in place of auto"
    assert "phases.tune.optimizer.args" not in found
    assert "data.val" not in found
    assert all(choice.meaning for choice in found.values())


@pytest.mark.parametrize("name", [entry.name for entry in catalogue()])
def test_every_recipe_says_why_and_nothing_but_itself_chooses(name: str) -> None:
    told = choices(load_recipe(name))
    assert any(paragraph.startswith("Why these numbers: ") for paragraph in told.reasons)
    assert {choice.by for choice in told.chosen} == {"the recipe"}


def test_a_recipe_of_ones_own_has_no_reasons_but_choices() -> None:
    recipe = load_recipe("lp_ft").model_copy(update={"name": "mine", "seed": 7})
    told = choices(recipe)
    assert told.reasons == []
    assert {choice.by for choice in told.chosen if choice.key == "seed"} == {"this run"}
