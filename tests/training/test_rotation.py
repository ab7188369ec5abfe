import numpy as np
import pytest

from finetune.training import rotation
from finetune.training.rotation import Rotation


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_distances_stay_and_the_mean_square_is_one(shape: tuple[int, int]) -> None:
    features = np.random.default_rng(0).normal(size=shape) * 7 + 3
    found = Rotation.of(features)
    rows = found.apply(features)
    assert rows.shape[1] <= min(shape) + 1
    assert (rows[:, -1] == 1).all()
    moved, raw = rows[:, :-1], features - features.mean(0)
    assert moved @ moved.T * found.scale**2 == pytest.approx(raw @ raw.T)
    assert np.square(moved).sum(1).mean() == pytest.approx(1)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_undo_gives_a_head_for_raw_features(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=shape) + 5
    found = Rotation.of(features)
    rows = found.apply(features)
    coefficients = generator.normal(size=(rows.shape[1], 3))
    weight, bias = found.undo(coefficients)
    assert features @ weight.T + bias == pytest.approx(rows @ coefficients)


def test_rows_in_chunks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    whole = Rotation.of(features).apply(features)
    monkeypatch.setattr(rotation, "_CHUNK", 7)
    parts = Rotation.of(features).apply(features)
    assert np.abs(parts) == pytest.approx(np.abs(whole))  # an axis may point the other way


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
def test_features_that_are_all_the_same_have_no_axis(shape: tuple[int, int]) -> None:
    found = Rotation.of(np.full(shape, 0.1, dtype=np.float32))
    assert found.scale == 1.0
    assert found.apply(np.full(shape, 0.1, dtype=np.float32)).tolist() == [[1.0]] * shape[0]


def test_axes_that_are_rounding_errors_are_left_out() -> None:
    generator = np.random.default_rng(3)
    low_rank = generator.normal(size=(60, 3)) @ generator.normal(size=(3, 20))
    assert Rotation.of(low_rank).axes.shape == (20, 3)
