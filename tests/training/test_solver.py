import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from finetune.errors import TrainingError
from finetune.evaluation.calibration import log_losses
from finetune.training import solver
from finetune.training.balance import image_weights
from finetune.training.folds import stratified_folds
from finetune.training.heads import SolvedHead
from finetune.training.solver import refit_head, solve_head
from finetune.training.strength import GRID


def _data(n: int, d: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    means = generator.normal(size=(classes, d))
    features = np.maximum(0, generator.normal(size=(n, d)) + 0.4 * means[labels])
    return features.astype(np.float32), labels


def _solve(features: np.ndarray, labels: np.ndarray, **changed) -> SolvedHead:
    options = {"num_classes": int(labels.max()) + 1, "l2": "auto", "folds": 5, "seed": 1}
    options |= changed
    return solve_head(features, labels, options.pop("num_classes"), **options)


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    exact = logits.astype(np.float64)
    highest = exact.max(1)
    total = np.log(np.exp(exact - highest[:, None]).sum(1)) + highest
    return float((total - exact[np.arange(len(labels)), labels]).mean())


def _sklearn(features: np.ndarray, labels: np.ndarray, l2: float, scale: float):
    """scikit-learn's solution of the same problem, on features scaled alike."""
    model = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-10, max_iter=10_000)
    return model.fit(features.astype(np.float64) / scale, labels)


def _scale(features: np.ndarray) -> float:
    centred = features - features.mean(0, dtype=np.float64)
    return float(np.sqrt(np.square(centred).sum(1).mean()))


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 90, 3), (90, 20, 4), (50, 30, 2)])
@pytest.mark.parametrize("l2", [1e-1, 1e-3, 1e-5])
def test_it_is_scikit_learns_solution(n: int, d: int, classes: int, l2: float) -> None:
    features, labels = _data(n, d, classes)
    head = _solve(features, labels, l2=l2)
    # Two classes have two mirrored rows here and one of twice the length there.
    factor = 2 if classes == 2 else 1
    expected = _sklearn(features, labels, l2 / factor, _scale(features))
    probabilities = np.exp(features @ head.weight.T + head.bias)
    probabilities /= probabilities.sum(1, keepdims=True)
    own = expected.predict_proba(features.astype(np.float64) / _scale(features))
    assert probabilities == pytest.approx(own, abs=2e-4)


@pytest.mark.parametrize("views", [1, 3])
def test_a_refit_head_is_the_one_that_is_solved_with_folds(views: int) -> None:
    features, labels = _data(60 * views, 40, 3)
    stacked = features.reshape(views, 60, 40) if views > 1 else features
    full = _solve(stacked, labels[:60], l2=1e-3, num_classes=4)  # the fourth has no image
    weight, bias = refit_head(stacked, labels[:60], 4, l2=1e-3)
    assert weight == pytest.approx(full.weight, abs=1e-3 * float(np.abs(full.weight).max()))
    assert bias == pytest.approx(full.bias, abs=1e-3 * float(np.abs(full.bias).max()))


def test_out_of_fold_logits_come_from_the_other_folds() -> None:
    features, labels = _data(75, 20, 3)
    head = _solve(features, labels, l2=1e-2)
    scale = _scale(features)
    for learn, judge in stratified_folds(labels, 5, 1):
        fold = _sklearn(features[learn], labels[learn], 1e-2, scale)
        expected = fold.predict_log_proba(features[judge].astype(np.float64) / scale)
        found = head.out_of_fold[judge].astype(np.float64)
        found -= np.log(np.exp(found).sum(1, keepdims=True))
        assert found == pytest.approx(expected, abs=2e-3)


def test_the_gradient_is_zero_at_the_solution() -> None:
    features, labels = _data(80, 30, 4)
    head = _solve(features, labels, l2=1e-3)
    centred = (features - features.mean(0)) / _scale(features)
    shares = np.exp(features @ head.weight.T + head.bias)
    residual = shares / shares.sum(1, keepdims=True) - np.eye(4)[labels]
    gradient = residual.T @ centred / 80 + 1e-3 * head.weight * _scale(features)
    assert np.abs(gradient).max() < 1e-5
    assert np.abs(residual.mean(0)).max() < 1e-5


def test_auto_takes_the_strength_with_the_lowest_log_loss() -> None:
    head = _solve(*_data(120, 60, 4))
    tried = dict(head.curve)
    assert head.chosen == min(tried, key=tried.get)
    assert list(tried) == list(GRID[: len(tried)])
    assert 3 < len(tried) < len(GRID)
    fixed = {l2: _solve(*_data(120, 60, 4), l2=l2).cv_log_loss for l2 in tried}
    assert tried == pytest.approx(fixed, rel=0.02)


def test_the_log_loss_is_that_of_the_out_of_fold_logits() -> None:
    features, labels = _data(60, 30, 3)
    for head in (_solve(features, labels), _solve(features, labels, l2=1e-3)):
        assert head.cv_log_loss == pytest.approx(_log_loss(head.out_of_fold, labels), rel=1e-5)
        assert head.weight.dtype == head.bias.dtype == head.out_of_fold.dtype == np.float32
        assert head.weight.shape == (3, 30)


def test_out_of_fold_logits_have_not_seen_their_labels() -> None:
    features, _ = _data(200, 400, 2)
    noise = np.random.default_rng(3).integers(0, 2, 200)
    head = _solve(features, noise, l2=1e-6)
    seen = (features @ head.weight.T + head.bias).argmax(1) == noise
    assert seen.mean() == 1.0
    assert abs((head.out_of_fold.argmax(1) == noise).mean() - 0.5) < 0.15


def test_a_group_never_stands_on_both_sides() -> None:
    features, _ = _data(60, 40, 3)
    labels = np.random.default_rng(1).integers(0, 3, 60)  # nothing to learn but the rows themselves
    twice, both = np.repeat(features, 2, axis=0), np.repeat(labels, 2)
    groups = [str(i // 2) for i in range(120)]
    apart = _solve(twice, both, l2=1e-6, groups=groups)
    mixed = _solve(twice, both, l2=1e-6)
    assert (mixed.out_of_fold.argmax(1) == both).mean() > 0.8
    assert (apart.out_of_fold.argmax(1) == both).mean() < 0.6


def test_a_single_group_is_folded_by_images() -> None:
    features, labels = _data(30, 10, 3)
    one = _solve(features, labels, groups=["all"] * 30)
    assert np.array_equal(one.out_of_fold, _solve(features, labels).out_of_fold)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(-50, 50))
def test_turning_scaling_and_moving_the_features_change_nothing(
    seed: int, scale: float, shift: float
) -> None:
    features, labels = _data(40, 15, 3, seed)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(15, 15)))
    moved = features.astype(np.float64) @ turn * scale + shift * scale
    plain, turned = _solve(features, labels, l2=1e-3), _solve(moved, labels, l2=1e-3)
    assert turned.out_of_fold == pytest.approx(plain.out_of_fold, abs=5e-3)
    assert turned.cv_log_loss == pytest.approx(plain.cv_log_loss, abs=1e-4)


def test_the_same_call_gives_the_same_bytes() -> None:
    first, second = (_solve(*_data(80, 50, 4)) for _ in range(2))
    assert first.weight.tobytes() == second.weight.tobytes()
    assert first.out_of_fold.tobytes() == second.out_of_fold.tobytes()
    assert first.curve == second.curve


@pytest.mark.parametrize("l2", ["auto", 1e-4])
@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 0, 0, 0, 0, 0, 1, 1, 2]),  # fewer members than folds
        np.array([0, 1]),
        np.arange(7),  # one image a class
        np.zeros(6, dtype=np.int64),  # one class in all
    ],
    ids=["small classes", "two images", "one a class", "one class"],
)
def test_few_images_work(labels: np.ndarray, l2: str | float) -> None:
    features = np.random.default_rng(0).normal(size=(len(labels), 12)).astype(np.float32)
    head = _solve(features, labels, num_classes=8, l2=l2)
    assert head.out_of_fold.shape == (len(labels), 8)
    for array in (head.weight, head.bias, head.out_of_fold, head.cv_log_loss):
        assert np.isfinite(array).all()


def test_a_class_that_nobody_showed_is_unlikely_but_possible() -> None:
    features, labels = _data(60, 20, 3)
    head = _solve(features, labels, num_classes=5, l2=1e-2)
    assert (head.weight[3:] == 0).all()
    shares = np.exp(head.out_of_fold.astype(np.float64))
    shares /= shares.sum(1, keepdims=True)
    assert shares[:, 3:] == pytest.approx(0.5 / 48 / (1 + 2 * 0.5 / 48), rel=1e-4)


@pytest.mark.parametrize("l2", ["auto", 1e-8])
def test_features_that_tell_nothing_give_the_classes_shares(l2: str | float) -> None:
    labels = np.repeat([0, 1], [30, 10])
    head = _solve(np.ones((40, 6), dtype=np.float32), labels, l2=l2)
    assert head.weight == pytest.approx(0)
    assert head.bias[0] - head.bias[1] == pytest.approx(np.log(3), abs=1e-4)


def test_rows_that_are_all_there_twice_work() -> None:
    features, labels = _data(30, 50, 3)
    once = _solve(features, labels, l2=1e-3)
    twice = _solve(np.repeat(features, 2, axis=0), np.repeat(labels, 2), l2=1e-3)
    assert twice.weight == pytest.approx(once.weight, abs=1e-3)


def test_separable_classes_stay_finite_at_the_weakest_strength() -> None:
    labels = np.repeat([0, 1, 2], 20)
    features = np.eye(3, dtype=np.float32)[labels] * 100
    head = _solve(features, labels)
    assert head.chosen == GRID[-1]
    assert head.cv_log_loss < 1e-3
    assert np.isfinite(head.weight).all()


def test_a_hundred_classes_in_one_go_or_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = _data(300, 20, 100)
    whole = _solve(features, labels, l2=1e-2)
    monkeypatch.setattr(solver, "_SIDE_BY_SIDE", 1)
    parts = _solve(features, labels, l2=1e-2)
    assert parts.out_of_fold == pytest.approx(whole.out_of_fold, abs=2e-3)


def test_features_that_are_no_numbers_are_told() -> None:
    features, labels = _data(20, 5, 2)
    features[[3, 7], 1] = np.nan, np.inf
    with pytest.raises(TrainingError, match="not finite numbers for 2 images of 20"):
        _solve(features, labels)


def test_one_image_is_told() -> None:
    with pytest.raises(TrainingError, match="cross-validated on 1 image"):
        _solve(*_data(1, 5, 1))


def test_four_hundred_images_take_under_two_seconds() -> None:
    features, labels = _data(400, 2048, 10)
    started = time.process_time()
    _solve(features, labels)
    assert time.process_time() - started < 2


def test_views_of_an_image_stay_in_one_fold_and_share_its_weight() -> None:
    features, labels = _data(60, 20, 3)
    alone = _solve(features, labels)
    repeated = _solve(np.stack([features] * 3), labels)
    assert repeated.chosen == alone.chosen
    assert repeated.cv_log_loss == pytest.approx(alone.cv_log_loss, rel=1e-4)
    assert repeated.out_of_fold == pytest.approx(alone.out_of_fold, abs=1e-2)
    assert repeated.weight == pytest.approx(alone.weight, abs=1e-2)
    with_nothing_to_learn = _solve(np.stack([features] * 3), labels, num_classes=4)
    expected = _solve(features, labels, num_classes=4)
    assert with_nothing_to_learn.bias == pytest.approx(expected.bias, abs=1e-2)


def test_the_first_view_is_what_is_judged() -> None:
    features, labels = _data(60, 20, 3)
    noise = np.random.default_rng(1).normal(size=features.shape).astype(np.float32)
    head = _solve(np.stack([features, noise]), labels)
    assert head.out_of_fold.shape == (60, 3)
    assert head.cv_log_loss == pytest.approx(_log_loss(head.out_of_fold, labels), abs=1e-5)
    noise_judged = _solve(np.stack([noise, features]), labels, l2=head.chosen)
    assert head.cv_log_loss < noise_judged.cv_log_loss


@pytest.mark.parametrize("kind", ["sqrt", "balanced"])
def test_weighted_classes_give_scikit_learns_weighted_head(kind: str) -> None:
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(5)
    labels = np.repeat([0, 1, 2], [120, 30, 10])
    features = (generator.normal(0, 1, (160, 6)) + labels[:, None] * 0.7).astype(np.float32)
    ours = refit_head(features, labels, 3, l2=1e-2, class_weights=kind)  # type: ignore[arg-type]
    centred = features - features.mean(0)
    scaled = centred / np.sqrt(np.square(centred).sum(1).mean())
    each = image_weights(labels, kind)  # type: ignore[arg-type]
    theirs = LogisticRegression(C=1 / (1e-2 * 160), tol=1e-10, max_iter=5000)
    theirs.fit(scaled, labels, sample_weight=each)
    logits = features @ ours[0].T + ours[1]
    expected = theirs.decision_function(scaled)
    assert np.allclose(logits - logits.mean(1, keepdims=True), expected, atol=1e-3)
    solved = solve_head(
        features, labels, 3, l2=1e-2, folds=4, seed=1, class_weights=kind,  # type: ignore[arg-type]
    )  # fmt: skip
    assert np.allclose(solved.weight, ours[0], atol=1e-4)
    plain = solve_head(features, labels, 3, l2=1e-2, folds=4, seed=1)
    rare = labels == 2
    assert (solved.out_of_fold.argmax(1)[rare] == 2).sum() > (
        plain.out_of_fold.argmax(1)[rare] == 2
    ).sum()


def test_the_strength_is_chosen_by_the_weighted_log_loss() -> None:
    generator = np.random.default_rng(6)
    labels = np.repeat([0, 1], [60, 12])
    features = (generator.normal(0, 1, (72, 4)) + labels[:, None]).astype(np.float32)
    head = solve_head(features, labels, 2, l2=1e-2, folds=3, seed=1, class_weights="balanced")
    own = log_losses(head.out_of_fold, labels, 1.0)
    means = [own[labels == c].mean() for c in (0, 1)]
    assert head.cv_log_loss == pytest.approx(np.mean(means), rel=1e-5)
