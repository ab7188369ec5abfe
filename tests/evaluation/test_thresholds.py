import numpy as np
import pytest
from scipy.stats import binomtest

from finetune.evaluation.thresholds import fewest, precision_thresholds, threshold


def test_fifty_nine_right_answers_show_a_precision_of_95() -> None:
    assert fewest(0.95, 0.05) == 59
    falling = np.linspace(0.99, 0.6, 59)
    assert threshold(falling, np.ones(59, dtype=bool), 0.95, 0.05) == falling[-1]
    assert threshold(falling[:58], np.ones(58, dtype=bool), 0.95, 0.05) is None
    assert threshold(np.empty(0), np.empty(0, dtype=bool), 0.95, 0.05) is None


def test_the_walk_ends_where_the_bound_falls_below() -> None:
    confidences = np.linspace(1, 0.5, 100)
    correct = np.arange(100) < 80
    limit = threshold(confidences, correct, 0.9, 0.05)
    answered = confidences >= limit
    bound = binomtest(int(correct[answered].sum()), int(answered.sum())).proportion_ci(0.9).low
    assert bound >= 0.9
    answered = confidences >= confidences[answered.sum()]
    bound = binomtest(int(correct[answered].sum()), int(answered.sum())).proportion_ci(0.9).low
    assert bound < 0.9


def test_images_of_one_confidence_are_answered_together_or_not() -> None:
    confidences = np.repeat([0.9, 0.7], [70, 30])
    correct = np.ones(100, dtype=bool)
    correct[70:85] = False
    assert threshold(confidences, correct, 0.95, 0.05) == 0.9


def test_an_early_error_does_not_end_it_where_there_are_many_images() -> None:
    correct = np.ones(2000, dtype=bool)
    correct[3] = False
    assert threshold(np.linspace(1, 0.5, 2000), correct, 0.95, 0.05) == 0.5


def test_each_class_has_its_own() -> None:
    probabilities = np.tile([[0.8, 0.1, 0.1]], (90, 1))
    probabilities[:20] = [0.2, 0.7, 0.1]
    labels = probabilities.argmax(1)
    assert precision_thresholds(probabilities, labels, 0.95, 0.95) == [0.8, None, None]


@pytest.mark.parametrize("sharp", [1.0, 3.0])
def test_thresholds_are_too_low_no_more_often_than_allowed(sharp: float) -> None:
    """Confidence u is right with the chance ``u ** (1 / sharp)``, whatever it says."""
    generator = np.random.default_rng(1)
    even = np.linspace(0, 1, 10_001)
    broken = 0
    for _ in range(300):
        confidences = generator.random(300)
        correct = generator.random(300) < 1 - (1 - confidences) ** sharp
        limit = threshold(confidences, correct, 0.9, 0.05)
        if limit is not None:
            above = even[even >= limit]
            broken += (1 - (1 - above) ** sharp).mean() < 0.9
    assert broken <= 0.05 * 300 + 10


def test_sixty_pictures_of_twelve_things_show_what_twelve_show() -> None:
    falling, right = np.linspace(0.99, 0.6, 60), np.ones(60, dtype=bool)
    assert threshold(falling, right, 0.95, 0.05) is not None
    assert threshold(falling, right, 0.95, 0.05, np.arange(60) // 5) is None


@pytest.mark.parametrize("size", [1, 2, 5])
def test_enough_groups_show_it(size: int) -> None:
    count = 80 * size
    falling, right = np.linspace(0.99, 0.6, count), np.ones(count, dtype=bool)
    assert threshold(falling, right, 0.95, 0.05, np.arange(count) // size) == falling[-1]


def test_groups_of_one_image_change_nothing() -> None:
    generator = np.random.default_rng(2)
    confidences = generator.random(400)
    correct = generator.random(400) < 0.5 + confidences / 2
    plain = threshold(confidences, correct, 0.8, 0.05)
    assert plain is not None
    assert threshold(confidences, correct, 0.8, 0.05, np.arange(400)) == plain


def test_groups_that_err_together_do_not_lower_thresholds() -> None:
    """Five pictures of each thing, all right or all wrong, by the chance of their confidence."""
    generator = np.random.default_rng(4)
    broken = 0
    for _ in range(40):
        sure = generator.random(120)
        right = generator.random(120) < 1 - (1 - sure) ** 3
        confidences = np.repeat(sure, 5) + generator.random(600) * 1e-6
        groups = np.repeat(np.arange(120), 5)
        limit = threshold(confidences, np.repeat(right, 5), 0.9, 0.05, groups)
        if limit is not None:
            above = np.linspace(max(limit, 0.0), 1, 1001)
            broken += (1 - (1 - above) ** 3).mean() < 0.9
    assert broken <= 0.05 * 40 + 4
