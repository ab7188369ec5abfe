import numpy as np

from finetune.evaluation import bootstrap
from finetune.evaluation.bootstrap import intervals, resample
from finetune.evaluation.intervals import UNDEFINED


def _counts(labels: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    return np.concatenate(list(resample(labels, resamples, seed)), axis=1)


def test_every_class_keeps_its_size() -> None:
    labels = np.array([2, 0, 0, 5, 2, 2, 0, 2])
    counts = _counts(labels, 50, seed=3)
    assert counts.shape == (8, 50)
    for c in (0, 2, 5):
        assert (counts[labels == c].sum(0) == (labels == c).sum()).all()


def test_images_are_drawn_alike() -> None:
    counts = _counts(np.repeat([0, 1], [4, 6]), 20_000, seed=0)
    assert np.abs(counts.mean(1) - 1).max() < 0.03
    assert np.abs(counts[:4].var(1) - 0.75).max() < 0.05  # binomial of 4 draws at 1/4


def test_the_seed_decides() -> None:
    labels = np.repeat([0, 1, 2], 5)
    assert np.array_equal(_counts(labels, 20, 1), _counts(labels, 20, 1))
    assert not np.array_equal(_counts(labels, 20, 1), _counts(labels, 20, 2))


def test_large_data_come_in_parts(monkeypatch) -> None:
    monkeypatch.setattr(bootstrap, "_CHUNK", 30)
    parts = list(resample(np.repeat([0, 1], 5), 10, seed=1))
    assert [part.shape for part in parts] == [(10, 3), (10, 3), (10, 3), (10, 1)]


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(size=400)
    labels = np.zeros(400, dtype=np.int64)
    [score] = intervals(
        np.array([values.mean()]),
        lambda counts: (values @ counts / 400)[None],
        labels,
        confidence=0.95,
        resamples=4000,
        seed=1,
    )
    assert abs((score.high - score.low) / 2 - 1.96 * values.std() / 20) < 0.005


def test_a_value_outside_its_resamplings_is_still_held() -> None:
    labels = np.array([0, 0, 1])

    def biased(counts: np.ndarray) -> np.ndarray:
        return np.full((2, counts.shape[1]), 0.5)

    options = {"confidence": 0.9, "resamples": 100, "seed": 1}
    above, unknown = intervals(np.array([0.7, np.nan]), biased, labels, **options)
    assert (above.low, above.value, above.high) == (0.5, 0.7, 0.7)
    assert unknown == UNDEFINED
