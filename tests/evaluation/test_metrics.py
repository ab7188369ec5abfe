import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from finetune.evaluation.calibration import softmax
from finetune.evaluation.metrics import epoch_scores, scores

KEYS = {
    "split", "n", "classes", "confidence", "accuracy", "balanced_accuracy", "macro_f1",
    "log_loss", "brier", "ece", "roc_auc", "average_precision", "top_k", "baseline",
    "per_class", "confusion", "groups", "ece_by_chance", "unsure",
}  # fmt: skip


def _score(probabilities: np.ndarray, labels: np.ndarray, **changed) -> dict:
    options = {"split": "test", "confidence": 0.95, "resamples": 200, "seed": 1, "majority": 0}
    classes = [f"class {c}" for c in range(probabilities.shape[1])]
    return scores(probabilities, labels, classes, **options | changed)


def _sample(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    logits = generator.normal(size=(n, classes)) * 1.5
    logits[np.arange(n), labels] += 1
    return softmax(logits, 1.0), labels


def _all_scores(found: dict) -> list[dict]:
    if set(found) == {"value", "low", "high"}:
        return [found]
    return [s for part in found.values() if isinstance(part, dict) for s in _all_scores(part)]


def test_the_contract() -> None:
    found = _score(*_sample(80, 4))
    assert set(found) == KEYS
    assert set(found["top_k"]) == {"2", "3"}
    assert set(found["per_class"]["class 1"]) == {"precision", "recall", "f1", "support"}
    assert (found["split"], found["n"], found["confidence"]) == ("test", 80, 0.95)
    assert len(_all_scores(found)) == 8 + 2 + 1 + 4 * 3
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_values_are_scikit_learns() -> None:
    p, y = _sample(200, 4)
    found, predicted, everyone = _score(p, y), p.argmax(1), range(4)
    expected = {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        "macro_f1": metrics.f1_score(y, predicted, average="macro"),
        "log_loss": metrics.log_loss(y, p),
        "brier": np.square(p - np.eye(4)[y]).sum(1).mean(),
        "roc_auc": metrics.roc_auc_score(y, p, multi_class="ovr"),
        "average_precision": metrics.average_precision_score(np.eye(4)[y], p),
    }
    assert {name: found[name]["value"] for name in expected} == pytest.approx(expected)
    assert found["top_k"]["2"]["value"] == metrics.top_k_accuracy_score(y, p, k=2)
    assert found["confusion"] == metrics.confusion_matrix(y, predicted, labels=everyone).tolist()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(y, predicted)
    for c, each in enumerate(found["per_class"].values()):
        values = [each[name]["value"] for name in ("precision", "recall", "f1")]
        assert values == pytest.approx([precision[c], recall[c], f1[c]])
        assert each["support"] == support[c]


def test_two_classes_rank_by_the_second() -> None:
    p, y = _sample(60, 2)
    assert _score(p, y)["roc_auc"]["value"] == pytest.approx(metrics.roc_auc_score(y, p[:, 1]))
    assert _score(p, y)["top_k"] == {}


def test_the_calibration_error_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.4, 0.6]])
    # Bins hold 0.9 (right half the time), 0.7 (right) and 0.6 (in the bin up to 0.6; wrong).
    found = _score(p, np.array([0, 1, 1, 0]))["ece"]["value"]
    assert found == pytest.approx((2 * 0.4 + 0.3 + 0.6) / 4)


def test_the_baseline_is_what_training_had_most_of() -> None:
    p, y = _sample(100, 3)
    found = _score(p, y, majority=2)["baseline"]["majority"]
    assert found["value"] == pytest.approx((y == 2).mean())


def test_no_images_no_scores() -> None:
    found = _score(np.empty((0, 3)), np.empty(0, dtype=np.int64))
    undefined = {"value": None, "low": None, "high": None}
    assert all(score == undefined for score in _all_scores(found))
    assert found["n"] == 0
    assert found["confusion"] == [[0] * 3] * 3


def test_a_class_that_the_part_lacks_is_left_out_of_means() -> None:
    p, y = _sample(90, 4)
    y[y == 3] = 0
    found, present = _score(p, y), [0, 1, 2]
    lacking = found["per_class"]["class 3"]
    assert lacking["support"] == 0
    assert lacking["recall"]["value"] is None
    assert lacking["f1"] == {"value": None, "low": None, "high": None}
    assert lacking["precision"]["value"] == 0.0
    expected = metrics.f1_score(y, p.argmax(1), labels=present, average="macro")
    assert found["macro_f1"]["value"] == pytest.approx(expected)
    areas = [metrics.roc_auc_score(y == c, p[:, c]) for c in present]
    assert found["roc_auc"]["value"] == pytest.approx(np.mean(areas))


def test_a_class_never_answered_has_no_precision() -> None:
    p = softmax(np.array([[3.0, 0, 0], [0, 3.0, 0], [0, 2.0, 0]]), 1.0)
    found = _score(p, np.array([0, 1, 2]))["per_class"]["class 2"]
    assert found["precision"]["value"] is None
    assert found["recall"]["value"] == found["f1"]["value"] == 0.0


def test_everything_right_is_not_certain() -> None:
    y = np.arange(30) % 3
    found = _score(np.eye(3)[y], y)
    assert found["accuracy"]["value"] == 1.0
    assert found["accuracy"]["low"] == pytest.approx(0.886, abs=1e-3)
    assert found["per_class"]["class 0"]["recall"]["low"] < 0.8
    assert found["log_loss"]["value"] == pytest.approx(0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 10_000), st.floats(0.5, 0.99))
def test_every_interval_holds_its_value(n: int, classes: int, seed: int, confidence: float) -> None:
    found = _score(*_sample(n, classes, seed), confidence=confidence, resamples=100)
    defined = [score for score in _all_scores(found) if score["value"] is not None]
    assert len(defined) >= 7
    assert all(score["low"] <= score["value"] <= score["high"] for score in defined)
    json.dumps(found, allow_nan=False)


def test_the_same_seed_gives_the_same_scores() -> None:
    sample = _sample(50, 3)
    assert _score(*sample) == _score(*sample)
    assert _score(*sample) != _score(*sample, seed=2)


def test_the_bootstrap_takes_under_two_seconds() -> None:
    p, y = _sample(1000, 10)
    _score(p, y, resamples=100)
    started = time.process_time()
    _score(p, y, resamples=1000)
    assert time.process_time() - started < 2


def test_epoch_scores_are_the_same_figures() -> None:
    p, y = _sample(70, 3)
    found = _score(p, y)
    expected = {name: found[name]["value"] for name in epoch_scores(np.log(p), y)}
    assert set(expected) == {"log_loss", "accuracy", "balanced_accuracy", "macro_f1"}
    assert epoch_scores(np.log(p), y) == pytest.approx(expected)
