from __future__ import annotations

import pytest

from finetune.report.curves import class_charts, confidence_charts, training_charts
from tests.report.evidences import make_evidence, make_predictions

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def evidence():
    return make_evidence(make_predictions(90, 30, CLASSES), CLASSES, words="tune")


def test_losses_are_drawn_by_epoch(evidence) -> None:
    (chart,) = training_charts(evidence)
    assert chart.title == "Phase tune"
    assert [line.points[0] for line in chart.lines] == [(1.0, 1.0), (1.0, 1.5)]
    assert (chart.right, chart.top) == (5.0, 1.5)
    assert chart.told.endswith("On validation images from 1.500 to 0.300.")


def test_confidence_is_drawn_against_accuracy_and_answers(evidence) -> None:
    reliability, risk = confidence_charts(evidence)
    ((confidence, accuracy),) = reliability.lines[1].points
    assert confidence == pytest.approx(0.8)
    assert accuracy == pytest.approx(2 / 3)
    assert reliability.told.endswith("on average they are 13.3 points apart.")
    assert risk.lines[0].points[-1] == pytest.approx((1.0, 1 / 3))


def test_the_class_that_is_told_apart_worst_comes_first() -> None:
    rows = [p for p in make_predictions(90, 0, CLASSES) if p.label != "owl"]
    rows += [p for p in make_predictions(90, 90, CLASSES) if p.label == "owl"]
    name, roc, precision = class_charts(make_evidence(rows, CLASSES))[0]
    assert name == "owl"
    assert roc.told == "ROC curve of owl: the area below it is 0.500."
    assert precision.lines[1].points[0] == pytest.approx((1.0, 1 / 3))


def test_without_scored_images_there_is_no_curve() -> None:
    only = make_evidence(make_predictions(9, 0, CLASSES), CLASSES, words="x")
    empty = make_evidence(make_predictions(9, 0, CLASSES, "val"), CLASSES, words="x", split="val")
    assert confidence_charts(only)
    empty.metrics["split"] = "test"
    assert confidence_charts(empty) == []
    assert class_charts(empty) == []
