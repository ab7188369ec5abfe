from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import HealthCheck, example, given, settings
from markdown_it import MarkdownIt

from finetune.report.model_card import model_card
from finetune.report.run_worries import run_worries
from tests.report.evidences import make_evidence, make_predictions
from tests.report.test_check_page import HOSTILE, UNSAFE
from tests.report.test_run_page import everything

CLASSES = ("cat", "dog", "owl")


def about(evidence, **weights: Any):
    """The evidence with other facts about its weights."""
    environment = dict(evidence.environment)
    environment["weights"] = {**environment["weights"], **weights}
    return replace(evidence, environment=environment)


def head(card: str) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert found
    return yaml.safe_load(found[1])


def kinds(card: str) -> list[str]:
    """What a reader of Markdown makes of the text: no name may change it."""
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(card.split("\n---\n", 1)[1])
    return [child.type for token in tokens for child in (token, *(token.children or ()))
            if child.type not in ("text", "text_special")]  # fmt: skip


@pytest.fixture
def evidence():
    return make_evidence(make_predictions(90, 30, CLASSES), CLASSES)


def test_the_front_matter_has_what_the_hub_reads(evidence) -> None:
    made = about(evidence, source="hub: timm/resnet50.tv_in1k", licence="bsd-3-clause")
    data = head(model_card(made))
    assert data["library_name"] == "timm"
    assert data["pipeline_tag"] == "image-classification"
    assert data["base_model"] == "timm/resnet50.tv_in1k"
    assert data["license"] == "bsd-3-clause"
    (entry,) = data["model-index"]
    assert entry["name"] == "photos-1"
    (result,) = entry["results"]
    scores = {metric["type"]: metric for metric in result["metrics"]}
    assert result["dataset"] == {"name": "said", "type": "imagefolder", "split": "test"}
    assert scores["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert scores["accuracy"]["name"] == "accuracy (95% interval 0.564 to 0.755)"
    assert data["metrics"] == list(scores)
    assert {"f1", "brier_score", "ece"} <= set(scores)


def test_the_hub_s_own_reader_takes_it(evidence) -> None:
    read = ModelCard(model_card(evidence), ignore_metadata_errors=False).data
    assert {each.metric_type for each in read.eval_results} == set(read.metrics)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (None, (None, None)),
        ("unknown", (None, None)),
        ("mit", ("mit", None)),
        ("dinov3-license", ("other", "dinov3-license")),
        ("Apache-2.0", ("apache-2.0", None)),
        ("Ask: me\n!", (None, None)),
    ],
)
def test_a_licence_is_never_invented(evidence, told, wanted) -> None:
    card = model_card(about(evidence, licence=told, pretrained=True))
    assert (head(card).get("license"), head(card).get("license_name")) == wanted
    if told is None:
        assert "is not known, so that none is named" in card


def test_weights_from_a_file_or_none_have_no_base_model(evidence) -> None:
    assert "base_model" not in head(model_card(about(evidence, source="file: mine.safetensors")))
    assert "trained from random weights" in model_card(evidence)


def test_it_says_what_the_report_worries_about_and_what_each_class_has(evidence) -> None:
    card = model_card(evidence)
    assert run_worries(evidence)
    assert card.count("\n- ", card.index("## What to"), card.index("## Classes")) == len(
        run_worries(evidence)
    )
    assert "| cat | 0 | 0 | 30 |" in card
    assert "| *all* | 0 | 0 | 90 |" in card
    assert "| accuracy of always answering the commonest class | 0.333 |" in card
    assert "it does not know when not to answer" in card
    assert 'timm.create_model("local-dir:model", pretrained=True)' in card


def test_what_abstaining_comes_to_is_told(evidence) -> None:
    score = {"value": 0.5, "low": 0.4, "high": 0.6}
    asked = {"answered": score, "accuracy": {**score, "value": 0.6}, "asked": {}}
    evidence.metrics["abstention"] = asked
    assert "then 50.0 % [40.0–60.0] are answered, and 60.0 % [" in model_card(evidence)


def test_where_data_and_weights_lay_is_not_told() -> None:
    evidence = everything(words="said")
    environment = dict(evidence.environment)
    place = "/home/somebody/secret"
    environment["data"] = {
        **environment["data"], "given": f"{place}/leaves", "root": place,
        "named": {"data.fixes": {"file": f"{place}/fixes.csv"}},
    }  # fmt: skip
    environment |= {"command": ["finetune", place], "processor": place, "system": place}
    made = about(replace(evidence, environment=environment), asked=f"{place}/w.safetensors")
    card = model_card(made)
    assert "secret" not in card
    assert "leaves" in card
    assert "--set data.fixes=FILE" in card


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=HOSTILE, label=HOSTILE.filter(str.strip), words=HOSTILE.filter(str.strip))
@example("---\nlicense: mit", "a: &b [*c]", "](javascript:alert(1))")
@example("<script>", "|", "```")
@example("\udcff\u202e", "\\", "# x")
def test_names_are_never_more_than_text(name: str, label: str, words: str) -> None:
    evidence = everything(label, "p/", name, words.replace("\n", " "))
    card = model_card(replace(evidence, recipe_text="name: lp_ft\n"))
    assert not UNSAFE.search(card)
    assert card.encode()
    usual = everything()
    wanted = model_card(replace(usual, recipe_text="name: lp_ft\n"))
    assert kinds(card) == kinds(wanted)
    assert head(card).keys() - {"license", "license_name"} == head(wanted).keys() - {
        "license",
        "license_name",
    }
