import numpy as np
import pytest

from finetune.evaluation.risk import risk_coverage


def test_the_curve_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    curve = risk_coverage(probabilities, np.array([0, 0, 0, 1]))  # right, wrong, right, wrong
    assert curve.coverage == pytest.approx([0.25, 0.5, 0.75, 1])
    assert curve.risk == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_a_confidence_that_says_nothing_risks_the_error_rate_everywhere() -> None:
    labels = np.array([0, 0, 0, 1])
    curve = risk_coverage(np.tile([[0.6, 0.4]], (4, 1)), labels)
    assert curve.risk == pytest.approx([0.25] * 4)
    assert curve.area == pytest.approx(0.25)


def test_the_order_of_images_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    probabilities = np.round(generator.dirichlet(np.ones(3), 50), 1)
    labels, order = generator.integers(0, 3, 50), generator.permutation(50)
    there, back = (
        risk_coverage(probabilities, labels),
        risk_coverage(probabilities[order], labels[order]),
    )
    assert there.risk == pytest.approx(back.risk)


def test_no_images_no_area() -> None:
    assert risk_coverage(np.empty((0, 2)), np.empty(0, dtype=np.int64)).area is None
