import numpy as np

from finetune.evaluation import bootstrap
from finetune.evaluation.bootstrap import drawn, resample


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


def test_the_spread_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=400)
    labels = np.zeros(400, dtype=np.int64)
    [means] = drawn(lambda counts: (values @ counts / 400)[None], labels, None, 4000, 1)
    assert abs(means.std() - values.std() / 20) < 0.002


def test_groups_are_drawn_whole_and_within_their_class() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    groups = np.array([0, 0, 1, 2, 3, 3, 3, 2])  # group 2 holds one image of each class
    counts = np.concatenate(list(resample(labels, 200, 4, groups)), axis=1)
    for group in range(4):
        assert (np.ptp(counts[groups == group], axis=0) == 0).all()
    first = [counts[groups == group][0] for group in range(4)]
    assert (first[0] + first[1] + first[2] == 3).all()  # all three mostly of class 0, or in halves
    assert (first[3] == 1).all()


def test_groups_of_one_are_drawn_as_images() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    alone = np.concatenate(list(resample(labels, 20, 4, np.arange(5))), axis=1)
    assert np.array_equal(alone, _counts(labels, 20, 4))
