"""The cosine classifier, and the linear layer that it is shipped as."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from finetune.training.balance import image_weights
from finetune.training.cosine import refit_cosine, solve_cosine
from finetune.training.folds import stratified_folds
from finetune.training.heads import SolvedHead, unit
from finetune.training.strength import GRID


def _data(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    means = generator.normal(size=(classes, 12))
    return generator.normal(size=(n, 12)) + 0.7 * means[labels] + 3, labels


def _solve(features: np.ndarray, labels: np.ndarray, classes: int = 3, **more) -> SolvedHead:
    options = {"l2": 1e-3, "folds": 4, "seed": 1} | more
    return solve_cosine(features, labels, classes, **options)


def _theirs(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None):
    """The same problem in scikit-learn, at a strength of 1e-3."""
    model = LogisticRegression(
        C=1 / (1e-3 * len(labels)), fit_intercept=False, tol=1e-10, max_iter=10_000
    )
    return model.fit(unit(features - features.mean(0)), labels, weights)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 5))
def test_the_shipped_layer_says_what_the_cosine_classifier_says(seed: int, classes: int) -> None:
    features, labels = _data(10 * classes, classes, seed)
    centre = features.mean(0)
    theirs = _theirs(features, labels)
    new = np.random.default_rng(seed + 1).normal(size=(50, 12)) + 3
    expected = theirs.decision_function(unit(new - centre))
    head = _solve(features, labels, classes)
    found = new @ head.weight.T + head.bias
    # The layer's logits are the classifier's, times the distance over the mean distance.
    length = np.linalg.norm(features - centre, axis=1).mean()
    longer = np.linalg.norm(new - centre, axis=1, keepdims=True) / length
    assert found - found.mean(1, keepdims=True) == pytest.approx(expected * longer, abs=0.02)
    clear = np.diff(np.sort(expected * longer, axis=1)[:, -2:])[:, 0] > 0.05
    assert (found.argmax(1) == expected.argmax(1))[clear].all()


@pytest.mark.parametrize("kind", ["sqrt", "balanced"])
def test_weighted_classes_give_scikit_learns_weighted_head(kind) -> None:
    features, _ = _data(40, 3)
    labels = np.repeat([0, 1, 2], [24, 10, 6])
    theirs = _theirs(features, labels, image_weights(labels, kind)).coef_
    weight, _ = refit_cosine(features, labels, 3, l2=1e-3, class_weights=kind)
    length = np.linalg.norm(features - features.mean(0), axis=1).mean()
    assert (weight - weight.mean(0)) * length == pytest.approx(theirs - theirs.mean(0), abs=0.02)


def test_out_of_fold_logits_are_those_of_heads_that_had_not_seen_the_images() -> None:
    features, labels = _data(30, 3)
    head = _solve(features, labels)
    for learn, judge in stratified_folds(labels, 4, 1):
        weight, bias = refit_cosine(features[learn], labels[learn], 3, l2=1e-3)
        expected = features[judge] @ weight.T + bias
        assert head.out_of_fold[judge] == pytest.approx(expected, abs=0.01)


def test_auto_takes_the_strength_with_the_lowest_log_loss_of_what_is_shipped() -> None:
    features, labels = _data(60, 3)
    head = _solve(features, labels, l2="auto")
    tried = dict(head.curve)
    assert list(tried) == list(GRID[: len(tried)])
    assert head.chosen == min(tried, key=lambda l2: tried[l2])
    fixed = _solve(features, labels, l2=head.chosen)
    assert fixed.out_of_fold == pytest.approx(head.out_of_fold, abs=0.01)
    assert tried[head.chosen] == pytest.approx(head.cv_log_loss, rel=0.02)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(-20, 20))
def test_moving_and_scaling_the_features_change_nothing(
    seed: int, scale: float, shift: float
) -> None:
    features, labels = _data(24, 3, seed)
    plain, other = _solve(features, labels), _solve((features + shift) * scale, labels)
    assert other.out_of_fold == pytest.approx(plain.out_of_fold, abs=0.01)


def test_a_refit_head_is_the_one_that_is_solved() -> None:
    features, labels = _data(24, 3)
    head = _solve(features, labels, 4)
    weight, bias = refit_cosine(features, labels, 4, l2=1e-3)
    assert np.array_equal(weight, head.weight)
    assert np.array_equal(bias, head.bias)


def test_views_share_an_images_weight() -> None:
    features, labels = _data(24, 3)
    alone, thrice = _solve(features, labels), _solve(np.stack([features] * 3), labels)
    assert thrice.out_of_fold == pytest.approx(alone.out_of_fold, abs=0.01)
    assert thrice.weight == pytest.approx(alone.weight, abs=0.01)


def test_a_class_that_nobody_showed_counts_as_half_an_image() -> None:
    features, labels = _data(24, 3)
    head = _solve(features, labels, 5)
    assert (head.weight[3:] == 0).all()
    shares = np.exp(head.out_of_fold.astype(np.float64))
    shares /= shares.sum(1, keepdims=True)
    assert shares[:, 3:] == pytest.approx(0.5 / 18 / (1 + 2 * 0.5 / 18), rel=1e-4)


@pytest.mark.parametrize("l2", ["auto", 1e-3])
@pytest.mark.parametrize(
    "labels",
    [np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 1]), np.arange(3), np.zeros(6, dtype=int)],
    ids=["small classes", "two images", "one a class", "one class"],
)
@pytest.mark.parametrize("same", [True, False])
def test_few_images_work(labels: np.ndarray, l2: str | float, same: bool) -> None:
    features = np.random.default_rng(0).normal(size=(len(labels), 12)) * (not same)
    head = _solve(features, labels, l2=l2)
    for array in (head.weight, head.bias, head.out_of_fold, head.cv_log_loss):
        assert np.isfinite(array).all()
