"""The bootstrap's own scores against scikit-learn's with sample weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from finetune.evaluation.bootstrap import resample
from finetune.evaluation.calibration import softmax
from finetune.evaluation.weighted import BINS, WeightedScores


def _sample(n: int, classes: int, seed: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    logits = generator.normal(size=(n, classes)) * 1.5
    logits[np.arange(n), labels] += 1
    return softmax(np.round(logits) if ties else logits, 1.0), labels


def _sklearn(probabilities: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> list[float]:
    classes = probabilities.shape[1]
    predicted, present = probabilities.argmax(1), np.unique(labels)
    weighted = {"sample_weight": weight}
    f1 = metrics.f1_score(
        labels, predicted, labels=present, average=None, zero_division=0, **weighted
    )
    recall = metrics.recall_score(
        labels, predicted, labels=present, average="macro", zero_division=0, **weighted
    )
    brier = np.square(probabilities - np.eye(classes)[labels]).sum(1)
    areas = [metrics.roc_auc_score(labels == c, probabilities[:, c], **weighted) for c in present]
    precisions = [
        metrics.average_precision_score(labels == c, probabilities[:, c], **weighted)
        for c in present
    ]
    return [
        recall,
        f1.mean(),
        metrics.log_loss(labels, probabilities, labels=range(classes), **weighted),
        np.average(brier, weights=weight),
        _calibration_error(probabilities, labels, weight),
        areas[-1] if classes == 2 else np.mean(areas),
        np.mean(precisions),
    ]


def _calibration_error(p: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> float:
    confidence, correct = p.max(1), p.argmax(1) == labels
    error = 0.0
    for i in range(BINS):
        inside = (confidence > i / BINS) & (confidence <= (i + 1) / BINS)
        if weight[inside].sum() > 0:
            accuracy = np.average(correct[inside], weights=weight[inside])
            certain = np.average(confidence[inside], weights=weight[inside])
            error += weight[inside].sum() / weight.sum() * abs(accuracy - certain)
    return error


@settings(max_examples=25, deadline=None)
@given(st.integers(12, 60), st.sampled_from([2, 3, 5]), st.integers(0, 1000), st.booleans())
def test_every_resampling_has_the_scores_of_scikit_learn(
    n: int, classes: int, seed: int, ties: bool
) -> None:
    probabilities, labels = _sample(n, classes, seed, ties=ties)
    labels[:2] = 0, 1  # so that there are two classes to rank
    counts = next(resample(labels, 4, seed))
    ours = WeightedScores(probabilities, labels)(counts)
    for column in range(4):
        expected = _sklearn(probabilities, labels, counts[:, column])
        assert ours[:, column] == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_samples_of_groups_have_the_scores_of_scikit_learn() -> None:
    probabilities, labels = _sample(40, 3, 5, ties=True)
    counts = next(resample(labels, 30, 1, np.arange(40) // 5))
    ours = WeightedScores(probabilities, labels)(counts)
    for column, weight in enumerate(counts.T):
        drawn = weight > 0
        if len(np.unique(labels[drawn])) == 3:
            expected = _sklearn(probabilities[drawn], labels[drawn], weight[drawn])
            assert ours[:, column] == pytest.approx(expected, abs=1e-12)


def test_one_class_alone_ranks_nothing() -> None:
    probabilities, labels = _sample(10, 3, 0, ties=False)
    ours = WeightedScores(probabilities, np.ones_like(labels))(np.ones((10, 1)))[:, 0]
    scores = dict(zip(WeightedScores.names, ours, strict=True))
    assert np.isnan([scores["roc_auc"], scores["average_precision"]]).all()
    assert np.isfinite([scores["log_loss"], scores["balanced_accuracy"]]).all()
