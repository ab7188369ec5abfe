import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.clusters import Groups, share
from finetune.evaluation.estimates import Answers, estimate
from finetune.evaluation.intervals import UNDEFINED, wilson
from finetune.evaluation.repeated import RepeatedAnswers, estimate_repeated

LABELS = np.arange(60) % 3
GROUPS = np.arange(60) // 6


def _answers(seed: int, groups: Groups | None = None, strength: float = 2.0) -> Answers:
    logits = np.random.default_rng(seed).normal(size=(60, 3)) + strength * np.eye(3)[LABELS]
    return Answers(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), LABELS, groups, 0.95)


@given(seed=st.integers(0, 99), grouped=st.booleans(), count=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_the_same_answers_once_more_change_nothing(seed: int, grouped: bool, count: int) -> None:
    once = _answers(seed, GROUPS if grouped else None)
    again = RepeatedAnswers((once,) * count)
    correct = [once.correct] * count
    pairs = [(once.share(once.correct), again.share(correct))]
    for c in range(3):
        pairs += [(once.recall(c), again.recall(c)), (once.f1(c), again.f1(c))]
        pairs += [(once.precision(c), again.precision(c))]
    for expected, found in pairs:
        for name in ("value", "low", "high"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name))


def test_other_answers_to_the_same_images_are_no_more_images() -> None:
    both = RepeatedAnswers((_answers(1), _answers(2)))
    correct = [each.correct for each in both.repeats]
    assert both.share(correct) == wilson(np.mean(correct) * 60, 60, 0.95)


def test_groups_widen_shares_and_the_other_scores() -> None:
    apart, grouped = (
        RepeatedAnswers((_answers(1, groups, 100.0), _answers(2, groups, 100.0)))
        for groups in (None, GROUPS)
    )
    right = [np.ones(60, dtype=bool)] * 2
    assert grouped.share(right) == share(right[0], GROUPS, 0.95)
    assert apart.share(right).low == wilson(60, 60, 0.95).low
    narrow, wide = (estimate_repeated(each, 100, 1) for each in (apart, grouped))
    for name in ("balanced_accuracy", "macro_f1", "roc_auc"):
        assert wide[name].low < narrow[name].low


def test_other_scores_are_means_over_repeats() -> None:
    both = RepeatedAnswers((_answers(1), _answers(2)))
    found, (one, other) = (
        estimate_repeated(both, 100, 1),
        [estimate(each, 100, 1) for each in both.repeats],
    )
    for name, score in found.items():
        for end in ("value", "low", "high"):
            expected = (getattr(one[name], end) + getattr(other[name], end)) / 2
            assert getattr(score, end) == pytest.approx(expected)


def test_what_is_undefined_stays_so() -> None:
    sure = np.tile([0.8, 0.1, 0.1], (4, 1))
    one = RepeatedAnswers((Answers(sure, np.zeros(4, dtype=int), None, 0.95),) * 2)
    assert one.precision(1) == one.recall(1) == one.f1(1) == UNDEFINED
    assert estimate_repeated(one, 50, 1)["roc_auc"] == UNDEFINED
