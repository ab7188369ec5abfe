from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.data import metadata
from finetune.data.files.looking import Look
from finetune.data.manifest import Item
from finetune.data.metadata import TRAITS, MetadataLeak, metadata_leaks


def look(**changed: object) -> Look:
    usual = {
        "digest": "0", "size": 1, "format": "JPEG", "mode": "RGB", "width": 400, "height": 300,
        "animated": False, "quality": 90, "taken": "", "camera": "", "dark": 0.0, "bright": 255.0,
        "spread": 50.0, "sharpness": 1.0, "fingerprint": b"",
    }  # fmt: skip
    return Look(**(usual | changed))


def leaks(labels: Sequence[str], looks: Sequence[Look], seed: int = 1) -> list[MetadataLeak]:
    items = [Item(f"{label}/{place}.jpg", label) for place, label in enumerate(labels)]
    return metadata_leaks(items, dict(zip((i.path for i in items), looks, strict=True)), seed)


CLASSES = ["cat", "dog"] * 50


@pytest.mark.parametrize(
    ("trait", "of_cat", "of_dog"),
    [
        ("file format", {"format": "PNG"}, {"format": "JPEG"}),
        ("colour mode", {"mode": "L"}, {}),
        ("size in pixels", {"width": 640}, {"width": 800}),
        ("JPEG quality", {"quality": 75}, {}),
        ("camera", {"camera": "Canon"}, {"camera": "Nikon"}),
    ],
)
def test_a_trait_that_tells_the_class_is_found(trait: str, of_cat: dict, of_dog: dict) -> None:
    made = [look(**(of_cat if label == "cat" else of_dog)) for label in CLASSES]
    (found,) = leaks(CLASSES, made)
    assert found == MetadataLeak(trait, 1.0, 0.5, 100)


def test_every_trait_is_asked() -> None:
    assert set(TRAITS) == {"file format", "colour mode", "size in pixels", "JPEG quality", "camera"}


def test_the_most_telling_comes_first() -> None:
    made = [
        look(
            format="PNG" if label == "cat" else "JPEG", quality=75 if place % 4 else 80 + place % 2
        )
        for place, label in enumerate(CLASSES)
    ]
    found = leaks(CLASSES, made)
    assert found[0].trait == "file format"
    assert [each.accuracy for each in found] == sorted((e.accuracy for e in found), reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_chance_tells_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    made = [look(quality=int(quality)) for quality in generator.integers(70, 75, 100)]
    assert leaks(CLASSES, made, seed) == []


def test_a_value_of_its_own_for_each_file_tells_nothing() -> None:
    made = [look(width=100 + place) for place in range(len(CLASSES))]
    assert leaks(CLASSES, made) == []


def test_the_baseline_is_the_commonest_class() -> None:
    labels = ["cat"] * 90 + ["dog"] * 10
    same = [look() for _ in labels]
    assert leaks(labels, same) == []
    told = [look(camera="x" if label == "dog" else "") for label in labels]
    (found,) = leaks(labels, told)
    assert (found.accuracy, found.baseline) == (1.0, 0.9)


def test_few_files_and_one_class_tell_nothing() -> None:
    assert leaks(["a", "b"] * 9, [look(quality=n % 2 + 1) for n in range(18)]) == []
    assert leaks(["a"] * 40, [look(quality=n % 2 + 1) for n in range(40)]) == []
    assert metadata_leaks([], {}, 1) == []


def test_only_images_that_are_ok_count() -> None:
    items = [Item(f"{n}.jpg", "ab"[n % 2], status="bad" if n < 90 else "ok") for n in range(100)]
    looks = {item.path: look(quality=50 + n % 2) for n, item in enumerate(items)}
    assert metadata_leaks(items, looks, 1) == []
    assert metadata_leaks([Item(f"{n}.jpg", "ab"[n % 2]) for n in range(100)], {}, 1) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.text(max_size=3)), max_size=80)
)
def test_what_is_told_beats_guessing_and_does_not_hang_on_the_order(
    rows: list[tuple[str, int, str]],
) -> None:
    items = [Item(f"{n}.jpg", label) for n, (label, _, _) in enumerate(rows)]
    made = [look(quality=quality, camera=camera) for _, quality, camera in rows]
    looks = dict(zip((item.path for item in items), made, strict=True))
    found = metadata_leaks(items, looks, 1)
    assert all(1 >= each.accuracy > each.baseline + 0.05 for each in found)
    assert all(each.n == len(items) >= 20 for each in found)
    assert metadata_leaks(items[::-1], looks, 1) == found


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60
    )
)
def test_the_vote_is_that_of_a_table_of_all_values_and_classes(
    rows: list[tuple[int, int, int]],
) -> None:
    values, labels, folds = np.array(rows).T
    expected = np.empty_like(labels)
    for place, (value, fold) in enumerate(zip(values, folds, strict=True)):
        others = labels[folds != fold]
        same = labels[(folds != fold) & (values == value)]
        counts = np.bincount(same if len(same) else others, minlength=5)
        expected[place] = counts.argmax()
    assert metadata._voted(values, labels, folds).tolist() == expected.tolist()


def test_many_values_and_classes_take_little_memory() -> None:
    count = 4_000
    items = [Item(f"{n}.jpg", f"{n // 2}") for n in range(count)]
    looks = {item.path: look(width=n + 1) for n, item in enumerate(items)}
    tracemalloc.start()
    try:
        assert metadata_leaks(items, looks, 1) == []
        assert tracemalloc.get_traced_memory()[1] < count * 2_000
    finally:
        tracemalloc.stop()
