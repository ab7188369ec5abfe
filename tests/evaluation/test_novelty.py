import numpy as np
import pytest

from finetune.evaluation import novelty
from finetune.evaluation.novelty import (
    chosen,
    directions,
    distance_limit,
    distances,
    distances_among,
)


def _two_kinds(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    middle = generator.normal(size=(2, 16)) * 2
    return (generator.normal(size=(200, 16)) + each for each in middle)


def test_other_pictures_are_farther() -> None:
    known, other = _two_kinds(0)
    kept = directions(known[:150])
    assert np.median(distances(other, kept)) > distances(known[150:], kept).max()


def test_the_distance_by_hand() -> None:
    kept = directions(np.eye(8))
    far = distances(np.array([[3.0, 2, 1, 0, 0, 0, 0, 0]]), kept)
    assert far == pytest.approx([1 - 2 / np.sqrt(14)], abs=1e-3)  # to the second nearest
    assert distances(np.empty((0, 8)), kept).shape == (0,)


def test_scale_changes_nothing_and_large_data_come_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, other = _two_kinds(1)
    kept = directions(known)
    expected = distances(other, kept)
    monkeypatch.setattr(novelty, "_CHUNK", 7)
    assert distances(other * 100, kept) == pytest.approx(expected, abs=1e-3)


def test_an_image_is_not_its_own_neighbour_nor_are_those_of_its_group() -> None:
    known, _ = _two_kinds(2)
    kept = directions(known[:40])
    alone = [distances(known[[i]], np.delete(kept, i, axis=0))[0] for i in range(40)]
    assert distances_among(kept) == pytest.approx(alone, abs=1e-3)
    twice = np.concatenate([kept] * 8)
    assert distances_among(twice).max() < 1e-2
    groups = [str(i % 40) for i in range(320)]
    assert distances_among(twice, groups).min() > 1e-2


def test_the_limit_lets_its_share_pass() -> None:
    held = np.arange(1.0, 200)
    assert distance_limit(held, 0.99) == 198
    assert distance_limit(held[:50], 0.99) == 50


def test_many_images_are_chosen_by_the_seed() -> None:
    assert np.array_equal(chosen(5, 1), np.arange(5))
    many = chosen(5000, 1)
    assert len(np.unique(many)) == 2000
    assert np.array_equal(many, chosen(5000, 1))
    assert not np.array_equal(many, chosen(5000, 2))
