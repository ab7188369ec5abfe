"""What the reader of a run's scores should worry about, by rules, the gravest first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from finetune.evaluation.clusters import group_numbers, share
from finetune.evaluation.intervals import Score
from finetune.report.answers import answers
from finetune.report.check_worries import Worry
from finetune.report.evidence import Evidence
from finetune.text import plural

WIDE = 0.10
"""Width of the accuracy's interval from which on it is told: ten points."""

SURE = 0.9
"""Confidence of a mistake from which on it is a sure one."""


def run_worries(evidence: Evidence) -> list[Worry]:
    """All of them, the gravest first; none where nothing stands out."""
    rules = (_chosen_on, _leaked, _guessing, _gap, _weak_class, _few, _grouped, _small_classes)
    later = _calibration, _doubtful_labels, _sure_mistakes, _bad
    return [worry for rule in (*rules, *later) for worry in rule(evidence)]


def _chosen_on(evidence: Evidence) -> Iterator[Worry]:
    if evidence.metrics["split"] == "val":
        yield Worry(
            "There is no test part: the scores are of the validation images, on which choices "
            "were made, and flatter the model.",
            "scores",
        )


def _leaked(evidence: Evidence) -> Iterator[Worry]:
    if leaked := evidence.metrics.get("leaked"):
        value = leaked["accuracy_without"]["value"]
        told = "" if value is None else f"; the accuracy without them is {percent(value)}"
        copies = plural(leaked["n"], "test image shows", "test images show")
        yield Worry(f"{copies} what stands in an earlier part too{told}.", "leaked")


def _guessing(evidence: Evidence) -> Iterator[Worry]:
    """Not told from the baseline: the intervals overlap."""
    accuracy, guess = evidence.metrics["accuracy"], evidence.metrics["baseline"]["majority"]
    if accuracy["value"] is not None and accuracy["low"] <= guess["high"]:
        yield Worry(
            f"The accuracy of {percent(accuracy['value'])} can't be told from that of always "
            f"answering the commonest class ({percent(guess['value'])}).",
            "scores",
        )


def _gap(evidence: Evidence) -> Iterator[Worry]:
    """Validation and test differ by more than chance explains."""
    if evidence.metrics["split"] != "test":
        return
    test, before = evidence.metrics["accuracy"], validation_accuracy(evidence)
    if test["value"] is None or before.value is None:
        return
    if _differ(Score(test["value"], test["low"], test["high"]), before):
        yield Worry(
            f"The accuracy is {percent(before.value)} on validation images and "
            f"{percent(test['value'])} on test images, more apart than chance explains: are the "
            "parts alike?",
            "scores",
        )


def validation_accuracy(evidence: Evidence) -> Score:
    """On the validation part, by weights that had not learnt from it; as wide as its groups ask."""
    given = answers(evidence.table, "val")
    groups = {item.path: item.group for item in evidence.items}
    numbers = group_numbers([groups.get(answer.path, "") for answer in given])
    right = np.array([answer.right for answer in given], dtype=bool)
    return share(right, numbers, evidence.metrics["confidence"])


def _differ(one: Score, other: Score) -> bool:
    """Whether the interval of the difference leaves out 0 (Newcombe 1998, method 10)."""
    upper, lower = (one, other) if _of(one.value) >= _of(other.value) else (other, one)
    margin = math.hypot(_of(upper.value) - _of(upper.low), _of(lower.high) - _of(lower.value))
    return _of(upper.value) - _of(lower.value) > margin


def _of(value: float | None) -> float:
    return math.nan if value is None else value


def _weak_class(evidence: Evidence) -> Iterator[Worry]:
    """A class whose recall lies below the accuracy, with all of its interval."""
    weak = weak_classes(evidence.metrics)
    if not weak:
        return
    name, row = weak[0], evidence.metrics["per_class"][weak[0]]
    others = plural(len(weak) - 1, "more class", "more classes")
    more = f" The same goes for {others}." if len(weak) > 1 else ""
    yield Worry(
        f"Of {plural(row['support'], 'image')} of {name}, {percent(row['recall']['value'])} are "
        f"recognised ({interval(row['recall'])}): it is weaker than the rest.{more}",
        "classes",
    )


def weak_classes(metrics: Mapping[str, Any]) -> list[str]:
    """The classes whose recall lies below the accuracy with all of its interval, weakest first."""
    accuracy = metrics["accuracy"]["value"] or 0.0
    weak = [
        (row["recall"]["high"], name)
        for name, row in metrics["per_class"].items()
        if row["recall"]["value"] is not None and row["recall"]["high"] < accuracy
    ]
    return [name for _, name in sorted(weak)]


def _few(evidence: Evidence) -> Iterator[Worry]:
    accuracy = evidence.metrics["accuracy"]
    if accuracy["value"] is None:
        yield Worry("No image could be scored.", "scores")
    elif accuracy["high"] - accuracy["low"] >= WIDE - 1e-9:
        images = plural(evidence.metrics["n"], "image")
        yield Worry(
            f"{images} tell the accuracy only to within {interval(accuracy)}: models that differ "
            "by less can't be told apart here.",
            "scores",
        )


def _grouped(evidence: Evidence) -> Iterator[Worry]:
    n, groups = evidence.metrics["n"], evidence.metrics["groups"]
    if groups < n:
        yield Worry(
            f"The {plural(n, 'image')} come in {plural(groups, 'group')} of images that belong "
            "together, and count for fewer: intervals are wider for it.",
            "scores",
        )


def _small_classes(evidence: Evidence) -> Iterator[Worry]:
    if reason := evidence.metrics["unsure"].get("class_scores"):
        yield Worry(f"Scores of small classes can't be relied on: {reason}.", "classes")


def _calibration(evidence: Evidence) -> Iterator[Worry]:
    """An error that chance does not make: ``ece`` is at least twice of what chance would."""
    metrics = evidence.metrics
    error, chance = metrics["ece"]["value"], metrics["ece_by_chance"]
    if error is not None and "ece" not in metrics["unsure"]:
        yield Worry(
            f"Its confidence is off by {100 * error:.1f} points on average (chance alone would "
            f"make it {100 * chance:.1f}).",
            "scores",
        )


def _doubtful_labels(evidence: Evidence) -> Iterator[Worry]:
    if evidence.doubts:
        labels = plural(len(evidence.doubts), "label")
        judged = plural(evidence.judged, "training image")
        yield Worry(
            f"{labels} of {judged} may be wrong: weights that had not learnt from them see another "
            "class.",
            "doubtful",
        )


def _sure_mistakes(evidence: Evidence) -> Iterator[Worry]:
    sure = sum(not a.right and a.confidence >= SURE for a in evidence.answers)
    if sure:
        yield Worry(
            f"{plural(sure, 'mistake was', 'mistakes were')} made with a confidence of "
            f"{100 * SURE:.0f} % or more.",
            "worst",
        )


def _bad(evidence: Evidence) -> Iterator[Worry]:
    bad = sum(item.status == "bad" for item in evidence.items)
    if bad:
        yield Worry(f"{plural(bad, 'file')} could not be read and took no part.", "unreadable")


def percent(value: float) -> str:
    """``90.8 %``."""
    return f"{100 * value:.1f} %"


def interval(score: Mapping[str, Any]) -> str:
    """``85.2 to 94.5 %``."""
    return f"{100 * score['low']:.1f} to {100 * score['high']:.1f} %"
