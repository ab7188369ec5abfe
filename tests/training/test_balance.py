from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from finetune.training.balance import class_weights, image_weights, log_prior

COUNTS = st.lists(st.integers(0, 500), min_size=1, max_size=8).filter(any).map(np.array)


@given(COUNTS, st.sampled_from(["none", "sqrt", "balanced"]))
def test_the_mean_over_the_images_is_one(counts, kind):
    counts = counts.astype(float)
    weights = class_weights(counts, kind)
    assert (weights * counts).sum() == pytest.approx(counts.sum())
    assert (weights[counts == 0] == 0).all()


def test_balanced_is_what_scikit_learn_calls_so() -> None:
    labels = np.repeat([0, 1, 3], [50, 8, 2])
    theirs = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    assert class_weights(np.array([50.0, 8, 0, 2]), "balanced")[[0, 1, 3]] == pytest.approx(theirs)
    half = class_weights(np.array([50.0, 8, 0, 2]), "sqrt")
    assert half[1] / half[0] == pytest.approx((theirs[1] / theirs[0]) ** 0.5)
    assert image_weights(labels, "none") == pytest.approx(np.ones(60))


def test_an_unseen_class_is_unlikely_and_not_impossible() -> None:
    assert np.exp(log_prior(np.array([6.0, 2.0, 0.0]))) == pytest.approx([0.75, 0.25, 0.0625])
