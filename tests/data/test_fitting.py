from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from timm.data import create_transform

from finetune.data.fitting import fit_image, letterbox
from finetune.data.input_spec import InputSpec


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "crop_pct"), [(64, 0.875), (96, 0.95), (33, 1.0), (48, 0.9)])
@pytest.mark.parametrize("shape", [(200, 133), (75, 301), (64, 64), (20, 31), (73, 73), (3, 40)])
def test_crop_gives_the_pixels_of_timms_evaluation(interpolation, size, crop_pct, shape):
    spec = InputSpec(size=size, interpolation=interpolation, crop_pct=crop_pct)
    image = picture(*shape)
    transform = create_transform(
        (3, size, size), is_training=False, interpolation=interpolation, crop_pct=crop_pct,
        use_prefetcher=True,
    )  # fmt: skip
    expected = np.asarray(transform(Image.fromarray(image)))
    np.testing.assert_array_equal(fit_image(image, spec), expected.transpose(1, 2, 0))


def test_squash_resizes_both_sides():
    image = picture(100, 40)
    expected = Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC)
    fitted = fit_image(image, InputSpec(size=32, fit="squash"))
    np.testing.assert_array_equal(fitted, np.asarray(expected))


@pytest.mark.parametrize(
    ("shape", "bars"), [((80, 40), np.s_[8:24, :]), ((40, 80), np.s_[:, 8:24])]
)
def test_letterbox_keeps_all_and_fills_with_the_mean(shape, bars):
    spec = InputSpec(size=32, fit="letterbox", mean=(0.5, 0.25, 1.0))
    fitted = fit_image(np.zeros((shape[1], shape[0], 3), np.uint8), spec)
    inside = np.zeros((32, 32), bool)
    inside[bars] = True
    assert (fitted[inside] == 0).all()
    assert (fitted[~inside] == [128, 64, 255]).all()


def test_a_smaller_picture_can_stand_in_a_corner():
    spec = InputSpec(size=20, fit="letterbox", mean=(1.0, 1.0, 1.0))
    fitted = letterbox(np.zeros((10, 10, 3), np.uint8), spec, scale=0.5, place=(1.0, 0.0))
    assert (fitted[:10, 10:] == 0).all()
    assert fitted.sum() == 255 * 3 * 300


@pytest.mark.parametrize("fit", ["crop", "squash", "letterbox"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300_000), (300_000, 1), (5000, 2)])
def test_strips_fit_without_filling_the_memory(fit, shape):
    fitted = fit_image(np.full((*shape, 3), 7, np.uint8), InputSpec(size=32, fit=fit))
    assert fitted.shape == (32, 32, 3)
    assert fitted.dtype == np.uint8
    assert (fitted == 7).any()
