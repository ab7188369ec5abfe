"""Heads of class means: what they are, and what leaves them as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid

from finetune.errors import TrainingError
from finetune.evaluation.calibration import log_losses
from finetune.training.folds import stratified_folds
from finetune.training.heads import SolvedHead, unit
from finetune.training.prototype import SCALES, refit_prototypes, solve_prototypes


def _data(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    means = generator.normal(size=(classes, 12))
    return generator.normal(size=(n, 12)) + 0.7 * means[labels] + 3, labels


def _solve(features: np.ndarray, labels: np.ndarray, classes: int = 3) -> SolvedHead:
    return solve_prototypes(features, labels, classes, folds=4, seed=1)


def _logits(head: SolvedHead, features: np.ndarray) -> np.ndarray:
    return np.asarray(features @ head.weight.T + head.bias)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(-20, 20))
def test_moving_and_scaling_the_features_change_nothing(
    seed: int, scale: float, shift: float
) -> None:
    features, labels = _data(24, 3, seed)
    moved = (features + shift) * scale
    plain, other = _solve(features, labels), _solve(moved, labels)
    assert other.chosen == plain.chosen
    assert other.out_of_fold == pytest.approx(plain.out_of_fold, abs=1e-3)
    assert _logits(other, moved) == pytest.approx(_logits(plain, features), abs=1e-2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_it_is_the_nearest_centroid_of_scikit_learn(seed: int, classes: int) -> None:
    features, labels = _data(6 * classes, classes, seed)
    directions = unit(features - features.mean(0))
    # On the sphere of directions the nearest mean of length 1 is that of the least angle.
    theirs = NearestCentroid().fit(directions, labels)
    theirs.centroids_ = unit(theirs.centroids_)
    new = np.random.default_rng(seed + 1).normal(size=(50, 12)) + 3
    distances = np.linalg.norm(unit(new - features.mean(0))[:, None] - theirs.centroids_, axis=-1)
    clear = np.diff(np.sort(distances, axis=1)[:, :2])[:, 0] > 1e-5
    found = _logits(_solve(features, labels, classes), new).argmax(1)
    assert clear.sum() > 40
    assert (found == theirs.predict(unit(new - features.mean(0))))[clear].all()


def test_out_of_fold_logits_are_those_of_heads_that_had_not_seen_the_images() -> None:
    features, labels = _data(30, 3)
    head = _solve(features, labels)
    for learn, judge in stratified_folds(labels, 4, 1):
        weight, bias = refit_prototypes(features[learn], labels[learn], 3, scale=head.chosen)
        expected = features[judge] @ weight.T + bias
        assert head.out_of_fold[judge] == pytest.approx(expected, abs=1e-4)


def test_the_scale_has_the_least_log_loss_with_what_the_prior_adds() -> None:
    features, labels = _data(60, 3)
    head = _solve(features, labels)
    tried = dict(head.curve)
    assert tuple(tried) == SCALES
    assert head.cv_log_loss == tried[head.chosen]
    own = log_losses(head.out_of_fold, labels, 1.0).mean()
    assert head.cv_log_loss == pytest.approx(own, abs=1e-5)
    posterior = {s: 60 * loss + 2 * np.log(s / 10) ** 2 for s, loss in tried.items()}
    assert head.chosen == min(posterior, key=lambda scale: posterior[scale])


def test_images_that_are_all_right_ask_for_no_endless_scale() -> None:
    features = np.repeat(np.eye(2), 2, axis=0) + np.eye(4, 2) / 10
    head = _solve(features, np.repeat([0, 1], 2), 2)
    assert (head.out_of_fold.argmax(1) == np.repeat([0, 1], 2)).all()
    assert 5 < head.chosen < 50


def test_a_refit_head_is_the_one_that_is_solved() -> None:
    features, labels = _data(24, 3)
    head = _solve(features, labels, 4)
    weight, bias = refit_prototypes(features, labels, 4, scale=head.chosen)
    assert np.array_equal(weight, head.weight)
    assert np.array_equal(bias, head.bias)


def test_views_are_learnt_from_and_the_first_is_judged() -> None:
    features, labels = _data(24, 3)
    alone, thrice = _solve(features, labels), _solve(np.stack([features] * 3), labels)
    assert thrice.out_of_fold == pytest.approx(alone.out_of_fold, abs=1e-4)
    assert thrice.weight == pytest.approx(alone.weight, abs=1e-4)
    noise = np.random.default_rng(5).normal(size=features.shape)
    mixed = _solve(np.stack([features, noise]), labels)
    swapped = _solve(np.stack([noise, features]), labels)
    assert mixed.weight / mixed.chosen == pytest.approx(swapped.weight / swapped.chosen, abs=1e-4)
    assert mixed.cv_log_loss < swapped.cv_log_loss


def test_a_class_that_nobody_showed_counts_as_half_an_image() -> None:
    features, labels = _data(24, 3)
    head = _solve(features, labels, 5)
    assert (head.weight[3:] == 0).all()
    shares = np.exp(head.out_of_fold.astype(np.float64))
    shares /= shares.sum(1, keepdims=True)
    assert shares[:, 3:] == pytest.approx(0.5 / 18 / (1 + 2 * 0.5 / 18), rel=1e-4)


@pytest.mark.parametrize(
    "labels",
    [np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 1]), np.arange(3), np.zeros(6, dtype=int)],
    ids=["small classes", "two images", "one a class", "one class"],
)
@pytest.mark.parametrize("same", [True, False])
def test_few_images_work(labels: np.ndarray, same: bool) -> None:
    features = np.random.default_rng(0).normal(size=(len(labels), 12)) * (not same)
    head = _solve(features, labels)
    for array in (head.weight, head.bias, head.out_of_fold, head.cv_log_loss):
        assert np.isfinite(array).all()


def test_faults_are_told() -> None:
    features, labels = _data(24, 3)
    with pytest.raises(TrainingError, match="cross-validated on 1 image"):
        _solve(features[:1], labels[:1])
    features[3] = np.nan
    with pytest.raises(TrainingError, match="not finite numbers for 1 image of 24"):
        refit_prototypes(features, labels, 3, scale=1.0)
