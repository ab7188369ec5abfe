from __future__ import annotations

import pytest

from finetune.data.manifest import Item
from finetune.evaluation.table import Prediction
from finetune.report.answers import Answer
from finetune.report.run_worries import run_worries
from tests.report.evidences import make_evidence, make_predictions

TWO = ("cat", "dog")


def told(evidence) -> list[str]:
    return [worry.text for worry in run_worries(evidence)]


def of(count: int, wrong: int, **options):
    return make_evidence(make_predictions(count, wrong, TWO), TWO, **options)


def test_scores_of_the_validation_part_come_first() -> None:
    found = told(make_evidence(make_predictions(30, 15, TWO, "val"), TWO, split="val"))
    assert found[0].startswith("There is no test part")


def test_a_guess_that_is_as_good_is_told() -> None:
    assert any("always answering the commonest class (50.0 %)" in t for t in told(of(100, 40)))
    assert not any("commonest class" in text for text in told(of(100, 10)))


@pytest.mark.parametrize(("wrong", "expected"), [(0, True), (30, False)])
def test_parts_that_differ_beyond_chance_are_told(wrong: int, expected: bool) -> None:
    val = make_predictions(100, wrong, TWO, "val")
    assert any("more apart than chance" in t for t in told(of(100, 30, val=val))) is expected


def test_few_images_and_wide_intervals_are_told() -> None:
    assert any(text.startswith("40 images tell the accuracy") for text in told(of(40, 4)))
    assert not any("tell the accuracy" in text for text in told(of(2_000, 200)))


def test_the_weakest_class_is_named() -> None:
    classes = ("cat", "dog", "owl")
    rows = make_predictions(150, 0, classes)
    weak = [p for p in make_predictions(150, 150, classes) if p.label == "owl"]
    kept = [p for p in rows if p.label != "owl"]
    (line,) = [t for t in told(make_evidence([*kept, *weak], classes)) if "weaker" in t]
    assert line.startswith("Of 50 images of owl, 0.0 % are recognised (0.0 to ")


def test_groups_small_classes_and_bad_files_are_told() -> None:
    bad = [Item("x", "cat", status="bad", reason="empty")]
    found = told(of(16, 2, groups=[f"g{n // 2}" for n in range(16)], more=bad))
    assert any("come in 8 groups" in text for text in found)
    assert any(text.startswith("Scores of small classes can't be relied on") for text in found)
    assert found[-1] == "1 file could not be read and took no part."


def test_confidence_that_is_off_is_told_unless_chance_explains_it() -> None:
    assert any("off by 20.0 points" in text for text in told(of(400, 0)))
    assert not any("off by" in text for text in told(of(400, 80)))


def test_sure_mistakes_are_counted() -> None:
    sure = Prediction("s", "test", "cat", make_predictions(1, 0, TWO)[0].probabilities * 0 + [0, 1])
    evidence = make_evidence([*make_predictions(100, 2, TWO), sure], TWO)
    assert "1 mistake was made with a confidence of 90 % or more." in told(evidence)


def test_doubtful_labels_are_counted() -> None:
    doubted = [Answer(f"{n}.jpg", "cat", "dog", 0.9, 0.1) for n in range(3)]
    found = told(of(2_000, 200, judged=500, doubted=doubted))
    assert any(text.startswith("3 labels of 500 training images may be wrong") for text in found)
    assert not any("labels" in text for text in told(of(2_000, 200, judged=500)))
