from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models import list_models, list_pretrained

from finetune.console import Silent
from finetune.errors import RecipeError
from finetune.model.listing import SHORT_LIST, examine, find_listed, is_name, listed_all


def names(pattern: str) -> list[str]:
    return [each.name for each in find_listed(pattern)]


def test_the_short_list_is_of_backbones_that_anyone_can_adapt() -> None:
    listed = find_listed("")
    assert [each.name for each in listed] == list(SHORT_LIST)
    assert {each.licence for each in listed} <= {"apache-2.0", "bsd-3-clause", "mit"}


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(list_models()), st.data())
def test_any_part_of_a_name_finds_it(name: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(name) - 1))
    part = name[start : data.draw(st.integers(start + 1, len(name)))]
    found = find_listed(part.upper())
    assert name in [each.architecture for each in found]
    assert all(part in each.architecture for each in found)


def test_a_pattern_with_a_dot_is_of_weights() -> None:
    found = find_listed("resnet50.*")
    assert [each.name for each in found] == [
        n for n in list_pretrained() if n.startswith("resnet50.")
    ]
    licences = {each.tag: each.licence for each in found}
    assert (licences["tv_in1k"], licences["fb_swsl_ig1b_ft_in1k"]) == (
        "bsd-3-clause",
        "cc-by-nc-4.0",
    )
    (preferred,) = find_listed("resnet5[0]")
    assert preferred.name in [each.name for each in found]
    assert set(preferred.weights) == set(licences)


def test_hyphens_and_capitals_are_as_people_write_them() -> None:
    assert names("ViT-Tiny") == names("vit_tiny") != []


def test_a_backbone_without_weights_has_no_tag_and_no_licence() -> None:
    (found,) = listed_all(["botnet50ts_256"])
    assert (found.name, found.tag, found.licence, found.weights) == ("botnet50ts_256", "", "", ())


def test_one_that_cannot_be_adapted_says_why_and_ends_nothing() -> None:
    good, bad, oblong = examine(
        listed_all(["test_vit", "dla34", "vit_base_patch16_sapiens2"]), Silent(), num_classes=7
    )
    assert (good.unfit, good.stages[-1].output) == ("", (7,))
    assert good.parameters == sum(stage.parameters for stage in good.stages)
    assert "isn't linear" in bad.unfit
    assert (oblong.listed.input, oblong.stages) == ("768x1024", ())


def test_whole_names() -> None:
    assert is_name("resnet50")
    assert is_name("resnet50.tv_in1k")
    assert not is_name("resnet5")
    assert not is_name("resnet50.gone")
    assert not is_name("")


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("resnet5O", "resnet50"),
        ("resnet--50", "resnet50"),
        ("resnet50.tv3_in1k", "tv2_in1k, tv_in1k"),
        ("vit_base_patch16_224_in21k", "vit_base_patch16_224.augreg_in21k"),
        ("\x1b[31m" + "x" * 500, r"\u001b"),
    ],
)
def test_no_match_tells_the_nearest_names(pattern: str, told: str) -> None:
    with pytest.raises(RecipeError) as error:
        find_listed(pattern)
    assert re.search(re.escape(told), str(error.value))
    assert len(str(error.value)) < 500
    assert "\x1b" not in str(error.value)
