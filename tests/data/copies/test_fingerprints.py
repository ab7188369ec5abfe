from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from finetune.data.copies.fingerprints import (
    COLOURS,
    FINGERPRINT_BYTES,
    SIDE,
    Thumbnails,
    fingerprint,
    stacked,
)


def noise(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300), seed=st.integers(0, 9))
def test_it_is_of_one_length_and_always_the_same(width, height, seed):
    made = fingerprint(noise(width, height, seed))
    assert len(made) == FINGERPRINT_BYTES
    assert made == fingerprint(noise(width, height, seed))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (8, 8), (2000, 1500)])
def test_any_size_will_do(size):
    assert len(fingerprint(noise(*size))) == FINGERPRINT_BYTES


def test_a_grey_picture_is_its_rgb_one():
    grey = noise(90, 70).convert("L")
    assert fingerprint(grey) == fingerprint(grey.convert("RGB"))


def test_threads_make_no_difference():
    images = [noise(80, 60, seed) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fingerprint, images)) == [fingerprint(image) for image in images]


def test_it_is_taken_apart_again():
    red = Image.new("RGB", (100, 30), (255, 0, 0))
    thumbnails = Thumbnails.of(stacked([fingerprint(red), fingerprint(noise(400, 300))]))
    assert thumbnails.grey.shape == (2, SIDE, SIDE)
    assert thumbnails.colour.shape == (2, 2, COLOURS, COLOURS)
    assert np.ptp(thumbnails.grey[0]) == 0
    assert np.all(thumbnails.grey[0] == 76)
    assert np.all(thumbnails.colour[0, 1] == 127)
    assert thumbnails.shorter.tolist() == [30, 255]
