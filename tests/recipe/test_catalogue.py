from __future__ import annotations

import re

import pytest

from finetune.errors import RecipeError
from finetune.recipe.catalogue import Entry, catalogue, entry
from finetune.recipe.loading import load_recipe
from finetune.recipe.yaml_reader import read_file

every_recipe = pytest.mark.parametrize("shipped", catalogue(), ids=lambda each: each.name)


def test_the_planned_recipes_are_there() -> None:
    names = [each.name for each in catalogue()]
    assert names == sorted(names)
    planned = {"linear_probe", "lp_ft", "full_finetune", "gradual_unfreeze", "from_scratch"}
    assert planned <= set(names)


@every_recipe
def test_a_shipped_recipe_loads_under_its_own_name(shipped: Entry) -> None:
    assert load_recipe(shipped.name).name == shipped.name


@every_recipe
def test_a_shipped_recipe_is_short_and_says_when_and_why(shipped: Entry) -> None:
    lines = shipped.path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40
    header = "\n".join(line for line in lines if line.startswith("#"))
    assert "When:" in header
    assert re.search(r"^# Why", header, flags=re.MULTILINE)


@every_recipe
def test_a_shipped_recipe_has_a_summary_of_a_line(shipped: Entry) -> None:
    assert 20 < len(shipped.summary) <= 120
    assert "\n" not in shipped.summary


@every_recipe
def test_a_shipped_recipe_still_works_when_copied(shipped: Entry) -> None:
    parent = read_file(shipped.path, shipped.name).children.get("extends")
    assert parent is None or parent.value in {each.name for each in catalogue()}


@every_recipe
def test_a_shipped_recipe_trains_stages_that_every_family_has(shipped: Entry) -> None:
    for phase in load_recipe(shipped.name).phases:
        assert re.fullmatch(r"head|all|last_[1-9]", phase.train)


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="no recipe 'linear-prob'; the nearest is linear_probe"):
        entry("linear-prob")
    with pytest.raises(RecipeError, match=r"no recipe '../lp_ft'"):
        entry("../lp_ft")
