import numpy as np
import pytest

from finetune.evaluation.calibration import softmax
from finetune.evaluation.estimates import Answers, estimate
from finetune.evaluation.metrics import scores


def _answers(n: int, classes: int, *, group: int = 1, shift: float = 2.0, seed: int = 0) -> Answers:
    """Groups are of one class each and share their noise."""
    generator = np.random.default_rng(seed)
    member = np.arange(n) // group
    labels = member % classes
    features = generator.normal(size=(member[-1] + 1, classes))[member]
    features += 0.3 * generator.normal(size=(n, classes))
    features[np.arange(n), labels] += shift
    return Answers(softmax(features * shift, 1.0), labels, None, 0.95)


def _grouped(answers: Answers, groups: np.ndarray) -> Answers:
    return Answers(answers.probabilities, answers.labels, groups, answers.confidence)


def test_everything_right_is_not_certain() -> None:
    labels = np.arange(60) % 3
    found = estimate(Answers(np.eye(3)[labels] * 0.97 + 0.01, labels, None, 0.95), 100, 1)
    for name in ("balanced_accuracy", "macro_f1", "roc_auc", "average_precision"):
        assert found[name].value == pytest.approx(1)
        assert found[name].low < 0.99
    assert found["log_loss"].high > 2 * found["log_loss"].value


def test_groups_that_share_their_noise_widen_every_interval() -> None:
    answers = _answers(300, 3, group=10, shift=1.5)
    alone, grouped = (
        estimate(each, 300, 1) for each in (answers, _grouped(answers, np.arange(300) // 10))
    )
    for name, score in alone.items():
        assert grouped[name].value == score.value
        low = score.value if name == "ece" else score.low  # which ends at 0 in both cases
        wide = grouped[name].high - (score.value if name == "ece" else grouped[name].low)
        assert wide > 1.3 * (score.high - low), name


def test_a_few_near_duplicates_change_little() -> None:
    answers = _answers(150, 3, shift=1.5)
    pairs = np.concatenate([[0, 0, 1, 1], np.arange(2, 148)])
    alone, grouped = (estimate(each, 1000, 1) for each in (answers, _grouped(answers, pairs)))
    for name, score in alone.items():
        assert grouped[name].low == pytest.approx(score.low, abs=0.02), name
        assert grouped[name].high == pytest.approx(score.high, abs=0.02), name


def test_the_interval_of_f1_is_that_of_the_jaccard_index() -> None:
    answers = _answers(120, 3, shift=1.0)
    found = answers.f1(0)
    union = (answers.labels == 0) | (answers.predicted == 0)
    jaccard = answers.share(answers.correct, union)
    assert found.value == pytest.approx(2 * jaccard.value / (1 + jaccard.value))
    assert found.low == pytest.approx(2 * jaccard.low / (1 + jaccard.low))


def test_the_calibration_error_may_all_be_chance() -> None:
    generator = np.random.default_rng(2)
    probabilities = softmax(generator.normal(size=(100, 3)) * 2, 1.0)
    labels = (generator.random((100, 1)) > probabilities.cumsum(1)[:, :2]).sum(1)
    found = estimate(Answers(probabilities, labels, None, 0.95), 200, 1)["ece"]
    assert found.low == 0
    assert found.value < found.high


def test_scores_without_groups_are_what_they_were() -> None:
    """Shares keep plain Wilson intervals; these figures are those of earlier versions."""
    labels = np.arange(40) % 2
    probabilities = np.full((40, 2), 0.2)
    probabilities[np.arange(40), labels] = 0.8
    probabilities[:3] = probabilities[:3, ::-1]
    found = scores(
        probabilities, labels, ["a", "b"], split="test", confidence=0.95, resamples=100, seed=1,
        majority=0,
    )  # fmt: skip
    assert found["accuracy"] == pytest.approx(
        {"value": 0.925, "low": 0.8013577, "high": 0.9741639}, abs=1e-6
    )
    assert found["baseline"]["majority"]["low"] == pytest.approx(0.3519953, abs=1e-6)
    assert found["groups"] == 40
