import math

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import accuracy_score, log_loss, recall_score

from finetune.evaluation.clusters import share
from finetune.evaluation.cross_validated import CrossValidatedScores, JudgedFold
from finetune.evaluation.intervals import (
    Score,
    at_least_as_wide,
    corrected_resampled_t,
    wilson,
)
from finetune.evaluation.reliability import error_by_chance
from finetune.training.folds import stratified_folds

CLASSES = ("a", "b", "c")


def _folds(labels: np.ndarray, strength: float, repeats: int = 2) -> list[JudgedFold]:
    generator = np.random.default_rng(0)
    found = []
    for repeat in range(1, repeats + 1):
        for fold, (outside, inside) in enumerate(stratified_folds(labels, 5, repeat), 1):
            logits = generator.normal(size=(len(inside), 3)) + strength * np.eye(3)[labels[inside]]
            found.append(JudgedFold(repeat, fold, inside, logits, 1.0, len(outside), 0))
    return found


def _scores(labels: np.ndarray, folds: list[JudgedFold]) -> dict:
    return CrossValidatedScores(labels, CLASSES, 0.95, 200, 1).of(folds)


def test_nadeau_and_bengios_interval_by_hand() -> None:
    values = [0.8, 0.9, 0.85, 0.95]
    score = corrected_resampled_t(values, 1 / 3, 0.95)
    variance = sum((v - 0.875) ** 2 for v in values) / 3
    reach = student.ppf(0.975, 3) * math.sqrt((1 / 4 + 1 / 3) * variance)
    assert score.value == pytest.approx(0.875)
    assert (score.low, score.high) == (pytest.approx(0.875 - reach), pytest.approx(0.875 + reach))
    assert corrected_resampled_t([0.5], 0.25, 0.95) == Score()


def test_values_are_means_over_folds_and_of_scikit_learn() -> None:
    labels = np.arange(90) % 3
    folds = _folds(labels, 1.5)
    scores = _scores(labels, folds)
    shares = [np.exp(f.logits) / np.exp(f.logits).sum(1, keepdims=True) for f in folds]
    pairs = [(labels[f.positions], share) for f, share in zip(folds, shares, strict=True)]
    accuracies = [accuracy_score(own, share.argmax(1)) for own, share in pairs]
    losses = [log_loss(own, share) for own, share in pairs]
    assert scores["accuracy"]["value"] == pytest.approx(np.mean(accuracies))
    assert scores["log_loss"]["value"] == pytest.approx(np.mean(losses))
    expected = corrected_resampled_t(losses, 18 / 72, 0.95)
    assert scores["log_loss"]["low"] <= expected.low
    assert scores["log_loss"]["high"] >= expected.high
    assert [row["accuracy"] for row in scores["by_fold"]] == pytest.approx(accuracies)


def test_classes_are_scored_out_of_fold_over_all_repeats() -> None:
    labels = np.arange(90) % 3
    folds = _folds(labels, 1.5)
    scores = _scores(labels, folds)
    own = np.concatenate([labels[f.positions] for f in folds])
    said = np.concatenate([f.logits.argmax(1) for f in folds])
    recalls = recall_score(own, said, average=None)
    found = scores["per_class"]["b"]
    assert found["recall"]["value"] == pytest.approx(recalls[1])
    assert found["support"] == 30  # images, not answers
    # A second answer to an image is no second image: the interval is that of 30.
    assert found["recall"]["low"] == pytest.approx(wilson(30 * recalls[1], 30, 0.95).low)
    assert np.sum(scores["confusion"]) == 180


def test_folds_that_are_all_right_still_have_a_width() -> None:
    labels = np.arange(60) % 3
    scores = _scores(labels, _folds(labels, 100.0))
    assert scores["accuracy"]["value"] == scores["accuracy"]["high"] == 1.0
    assert scores["accuracy"]["low"] == pytest.approx(wilson(60, 60, 0.95).low)


def test_an_interval_is_never_narrower_than_its_floor() -> None:
    found = at_least_as_wide(Score(0.5, 0.49, 0.6), Score(0.52, 0.42, 0.55), 1.0)
    assert found == Score(0.5, pytest.approx(0.4), 0.6)
    assert at_least_as_wide(Score(0.9, 0.8, 1.1), Score(), 1.0) == Score(0.9, 0.8, 1.0)
    assert at_least_as_wide(Score(), Score(0.5, 0.4, 0.6)) == Score()


def test_a_class_that_some_folds_lack_is_no_obstacle() -> None:
    labels = np.array([0] * 30 + [1] * 30 + [2])
    scores = _scores(labels, _folds(labels, 1.0))
    assert scores["per_class"]["c"]["support"] == 1
    assert scores["roc_auc"]["value"] is not None


def test_groups_widen_the_intervals_and_are_told() -> None:
    labels = np.arange(60) % 3
    folds, groups = _folds(labels, 100.0), np.arange(60) // 6
    alone = _scores(labels, folds)
    found = CrossValidatedScores(labels, CLASSES, 0.95, 200, 1, groups).of(folds)
    assert (alone["groups"], found["groups"]) == (60, 10)
    expected = share(np.ones(60, dtype=bool), groups, 0.95)
    assert found["accuracy"] == pytest.approx(expected.to_dict())
    for score in ("balanced_accuracy", "macro_f1", "roc_auc"):
        assert found[score]["value"] == alone[score]["value"]
        assert found[score]["low"] < alone[score]["low"]
    assert found["per_class"]["b"]["recall"]["low"] < alone["per_class"]["b"]["recall"]["low"]
    assert "log_loss" not in alone["unsure"]
    assert found["unsure"]["log_loss"] == "there are 10 groups in all"


def test_what_cannot_be_relied_on_is_named() -> None:
    labels = np.array([0] * 30 + [1] * 30 + [2] * 5)
    found = _scores(labels, _folds(labels, 1.0))
    assert found["unsure"]["macro_f1"] == "1 class of fewer than 10 images: c"
    parts = [np.exp(f.logits) / np.exp(f.logits).sum(1, keepdims=True) for f in _folds(labels, 1.0)]
    assert found["ece_by_chance"] == pytest.approx(np.mean([error_by_chance(p) for p in parts]))
