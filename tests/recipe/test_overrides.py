from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from finetune.errors import RecipeError
from finetune.recipe.overrides import apply, sets
from finetune.recipe.validation import validate
from finetune.recipe.yaml_reader import MAX_DEPTH, read_text

if TYPE_CHECKING:
    from finetune.recipe.tree import Node

RECIPE = """\
name: r
model: {backbone: resnet18, dropout: 0.1}
phases:
  - {name: probe, solver: lbfgs}
  - name: tune
    train: all
    epochs: 10
    optimizer: {name: sgd, lr: 0.1, momentum: 0.9}
"""


def tree() -> Node:
    return read_text(RECIPE, "r.yaml")


def changed(*overrides: str) -> Any:
    result, told = apply(tree(), overrides)
    assert told == []
    return validate(result)


def faults(*overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        validate(*apply(tree(), overrides))
    return error.value.found.split("\n")


@pytest.mark.parametrize("key", ["phases.tune.epochs", "phases.1.epochs"])
def test_a_phase_goes_by_name_and_by_position(key: str) -> None:
    assert changed(f"{key}=5").phases[1].epochs == 5


def test_a_value_is_yaml() -> None:
    assert changed("phases.tune.optimizer.lr=3e-4").phases[1].optimizer.lr == 3e-4
    assert changed("phases.tune.clip_norm=null").phases[1].clip_norm is None
    assert changed("model.backbone=vit_tiny_patch16_224").model.backbone == "vit_tiny_patch16_224"
    assert changed("phases=[{name: only, solver: lbfgs}]").phases[0].name == "only"
    recipe = changed("phases.tune.lr_schedule={name: step, milestones: [0.5, 0.75]}")
    assert recipe.phases[1].lr_schedule.milestones == [0.5, 0.75]


def test_an_absent_or_null_section_is_made() -> None:
    recipe = changed("phases.tune.early_stopping.patience=3")
    assert recipe.phases[1].early_stopping.patience == 3
    recipe = changed("phases.tune.augment=null", "phases.tune.augment.policy=heavy")
    assert recipe.phases[1].augment.policy == "heavy"


def test_a_mapping_is_merged() -> None:
    optimizer = changed("phases.tune.optimizer={lr: 0.2}").phases[1].optimizer
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 0.2, 0.9)


def test_a_later_override_wins_and_sees_the_earlier() -> None:
    assert changed("seed=2", "seed=3").seed == 3
    assert changed("phases.0.name=solve", "phases.solve.folds=3").phases[0].folds == 3


def test_what_is_not_overridden_stays() -> None:
    before, after = validate(tree()), changed("phases.tune.epochs=5")
    assert after.model_copy(update={"phases": before.phases}) == before
    assert after.phases[0] == before.phases[0]


def test_epochs_give_way_to_steps() -> None:
    phase = changed("phases.tune.epochs=null", "phases.tune.steps=100").phases[1]
    assert (phase.epochs, phase.steps) == (None, 100)
    assert faults("phases.tune.steps=100") == [
        "--set phases.tune.steps=100: phases.1: give epochs or steps, one of them (set the other "
        "to null)"
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("phases.tune.epoch=5", "phases.1.epoch: unknown key; the nearest is epochs ("),
        ("phases.tune.optimizer.learning=1", "phases.1.optimizer.learning: unknown key"),
        ("phases.tune.early_stoping.patience=3", "phases.1.early_stoping: unknown key; the nea"),
        ("phases.probe.epochs=3", "phases.0.epochs: a solver phase has no epochs;"),
        ("phases.tun.epochs=5", "phases has no tun; the nearest is tune (there are: 0 (probe), 1"),
        ("phases.2.epochs=5", "phases has no 2 (there are: 0 (probe), 1 (tune))"),
        ("phases.-1.epochs=5", "phases has no -1 (there are: 0 (probe), 1 (tune))"),
        ("model.backbone.name=x", "model.backbone: must be text, not empty; got a mapping"),
        ("seed=x", "seed: must be a whole number, at least 0 and below 9223372036854775808; got"),
        ("seed", "give KEY=VALUE, such as phases.tune.epochs=5"),
        ("=5", "give KEY=VALUE, such as phases.tune.epochs=5"),
        ("a..b=5", "give KEY=VALUE, such as phases.tune.epochs=5"),
        ("seed=[1", "can't be read as YAML: "),
        ("seed=!!python/name:os.system", "the tag tag:yaml.org,2002:python/name:os.system is ref"),
        ("extends=lp_ft", "extends can stand in a file only"),
        (".".join(["a"] * (MAX_DEPTH + 1)) + "=1", f"its key has more than {MAX_DEPTH} parts"),
    ],
)
def test_a_fault_names_the_option(override: str, message: str) -> None:
    (fault,) = faults(override)
    assert fault.startswith(f"--set {override}: {message}")


def test_all_faults_of_all_options_are_told_together() -> None:
    told = faults("seed", "phases.tun.epochs=5", "keep=x", "data={val: 1, val: 2}")
    assert [fault.partition(": ")[0] for fault in told] == [
        "--set seed",
        "--set phases.tun.epochs=5",
        "--set data={val",
        "--set keep=x",
    ]


def test_whether_a_key_is_set() -> None:
    key = "model.backbone"
    assert sets(["seed=1", "model.backbone=resnet18"], key)
    assert sets(["model={backbone: resnet18}"], key)
    assert not sets(["model={dropout: 0.1}", "seed=3", "model=null"], key)
    assert not sets([], key)
