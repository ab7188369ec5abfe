"""Each rule against what it was made from; no network and no image."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.choosing.depth import FEW, PATIENCE, SURE, Depth, Facts, depth_for, phase_choices
from finetune.choosing.header import paragraphs
from finetune.choosing.rules import (
    augment_choice,
    backbone_choice,
    input_choices,
    keep_choice,
    precision_choice,
    scratch_choices,
)
from finetune.choosing.suggestion import KeyChoice, Suggestion, followed, keys_of
from finetune.choosing.traits import DataTraits, MachineTraits, ProbeTraits
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe
from finetune.recipe.undecided import groundwork

DATA = DataTraits(
    images=200, classes=4, smallest=40, largest=60, side=288, aspect=1.3, grey=0.0, symbols=False
)
LAPTOP = MachineTraits("a CPU", cores=4, memory=16 * 2**30, bfloat16=False)
FAIR = ProbeTraits(images=200, accuracy=0.88, log_loss=0.33)


def facts(data: DataTraits = DATA, probe: ProbeTraits | None = FAIR, **seconds: float) -> Facts:
    took = {"all": 60.0, "last_2": 20.0, "head": 5.0} | seconds
    return Facts(data, LAPTOP, probe, 2048, lambda depth: took[depth])


def depth(given: Facts) -> Depth:
    return depth_for(given)[0]


def test_the_whole_network_trains_where_there_is_room_and_time() -> None:
    assert depth(facts()) == "all"
    assert "88.0%" in depth_for(facts())[1]


def test_few_images_and_a_probe_that_is_nearly_right_train_the_head_alone() -> None:
    assert depth(facts(replace(DATA, images=FEW - 1))) == "head"
    assert depth(facts(replace(DATA, images=FEW))) == "all"
    perfect = replace(FAIR, accuracy=0.975)
    assert depth(facts(probe=perfect)) == "head"
    assert depth(facts(probe=replace(perfect, images=SURE - 1))) == "all"


def test_what_takes_over_an_hour_goes_less_deep_and_says_so() -> None:
    top, why = depth_for(facts(all=5 * PATIENCE))
    assert top == "last_2"
    assert "the whole network would take 5 h 00 min" in why
    assert depth(facts(all=PATIENCE + 1, last_2=PATIENCE + 1)) == "head"


def test_without_a_probe_or_a_clock_the_whole_network_is_taken_and_that_is_told() -> None:
    chosen, why = depth_for(replace(facts(probe=None), seconds=None))
    assert chosen == "all"
    assert "No probe was tried" in why
    assert "not known" in why


def test_a_head_that_can_not_be_solved_is_not_asked_for() -> None:
    million = replace(DATA, images=1_000_000, classes=1000)
    (phases, *_) = phase_choices(facts(million))
    assert [phase["name"] for phase in phases.value] == ["tune"]
    small_memory = replace(facts(replace(DATA, images=100_000)), machine=replace(LAPTOP, memory=1))
    assert "memory" in phase_choices(small_memory)[0].reason


def test_elongated_pictures_are_not_cut() -> None:
    assert {c.key: c.value for c in input_choices(DATA)} == {
        "input.size": "auto", "input.fit": "crop",
    }  # fmt: skip
    assert input_choices(replace(DATA, aspect=2.5))[1].value == "letterbox"
    assert "enlarged" in input_choices(replace(DATA, side=64))[0].reason


def test_symbols_are_not_mirrored() -> None:
    turned = augment_choice(replace(DATA, symbols=True), varied=True).value
    assert [each["name"] for each in turned["transforms"]] == ["Affine"]
    assert augment_choice(replace(DATA, symbols=True), varied=False).value["policy"] == "none"
    assert "grey" in augment_choice(replace(DATA, grey=1.0), varied=True).reason


@pytest.mark.parametrize(("side", "size"), [(32, 32), (300, "auto")])
def test_without_weights_the_pictures_size_decides(side: int, size: object) -> None:
    recipe = followed(groundwork([]), scratch_choices(replace(DATA, side=side)))
    assert recipe.input.size == size
    assert not recipe.model.pretrained


@st.composite
def traits(draw: st.DrawFn) -> DataTraits:
    smallest = draw(st.integers(0, 1000))
    return DataTraits(
        images=draw(st.integers(2, 10**6)),
        classes=draw(st.integers(2, 2000)),
        smallest=smallest,
        largest=smallest + draw(st.integers(1, 10**5)),
        side=draw(st.floats(1, 5000)),
        aspect=draw(st.floats(1, 30)),
        grey=draw(st.floats(0, 1)),
        symbols=draw(st.booleans()),
    )


PROBES = st.builds(ProbeTraits, st.integers(2, 5000), st.floats(0, 1), st.floats(0, 20))
SECONDS = st.fixed_dictionaries(dict.fromkeys(["all", "last_2"], st.floats(0, 1e6)))


@given(traits(), st.none() | PROBES, SECONDS, st.booleans())
def test_whatever_is_found_the_choices_make_a_recipe_with_a_reason_for_each(
    data: DataTraits, probe: ProbeTraits | None, seconds: dict[str, float], scratch: bool
) -> None:
    found = Facts(data, LAPTOP, probe, 2048, lambda depth: seconds[depth])
    phases = phase_choices(found)
    choices = [
        *(scratch_choices(data) if scratch else [*input_choices(data), *phases]),
        *([] if scratch else [backbone_choice("resnet50.tv_in1k", "hub")]),
        *([] if scratch else [augment_choice(data, varied=len(phases) > 1)]),
        keep_choice(len(phases[0].value)),
        precision_choice(LAPTOP, "auto"),
    ]
    assert all(len(choice.reason) > 10 for choice in choices)
    recipe = followed(groundwork([]), choices)
    assert isinstance(recipe, Recipe)
    told = list(paragraphs("photos", found, "a file", None))
    text = Suggestion(recipe, tuple(choices), tuple(told)).text()
    assert all(choice.reason.split()[0] in text for choice in choices)


def test_what_is_given_by_hand_stands_over_a_choice_and_says_so() -> None:
    base, choices = (
        groundwork([]),
        (KeyChoice("input.fit", "crop", "Short."), *phase_choices(facts())),
    )
    given = ["input.fit=squash", "phases.tune.epochs=3", "seed=5"]
    recipe = followed(base, choices, given)
    suggestion = Suggestion(recipe, choices, (), keys_of(given))
    assert (recipe.input.fit, recipe.phases[1].epochs, recipe.seed) == ("squash", 3, 5)  # type: ignore[union-attr]
    assert {suggestion.reasons[key] for key in keys_of(given)} == {"Given by hand."}
    assert not any(line.startswith("input.fit") for line in suggestion.lines())


def test_very_unequal_classes_are_told_of() -> None:
    unequal = facts(replace(DATA, smallest=5, largest=60))
    assert any("12 times" in text for text in paragraphs("photos", unequal, "a file", 60.0))
    assert not any("times the images" in text for text in paragraphs("photos", facts(), "", 60.0))


def test_the_numbers_are_those_of_the_fixed_recipes() -> None:
    recipe = followed(groundwork([]), phase_choices(facts()))
    assert recipe.phases == load_recipe("lp_ft").phases
