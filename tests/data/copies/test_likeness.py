"""Crops, reliefs and the comparison itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from finetune.data.copies.crops import CROPS, Crop, across, down, sampling
from finetune.data.copies.fingerprints import SIDE, Thumbnails, fingerprint, stacked
from finetune.data.copies.likeness import Looks, compare
from finetune.data.copies.reliefs import cropped, has_little_detail, reliefs, spread


def picture(seed, size=(320, 240)):
    """A smooth random picture: noise at several scales, the broad ones strongest."""
    generator = np.random.default_rng(seed)
    pixels = np.zeros((size[1], size[0], 3))
    for cells in (3, 6, 12, 24, 48):
        noise = generator.normal(0, 1, (cells, cells)).astype(np.float32)
        broad = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        pixels += np.asarray(broad)[..., None] * 120 / cells**0.5
    pixels += 120 + generator.normal(0, 20, 3)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def thumbnails(*images):
    return Thumbnails.of(stacked([fingerprint(image) for image in images]))


def compared(first, second, crop=0):
    likeness, near = compare(
        Looks.of(thumbnails(first)), Looks.of(thumbnails(second)), np.array([crop])
    )
    return float(likeness[0]), bool(near[0])


@pytest.mark.parametrize("number", range(len(CROPS)))
def test_a_cropped_map_is_the_cropped_picture(number):
    crop = CROPS[number]
    whole = picture(1, (400, 400))
    left, right = round(crop.left * 400), 400 - round(crop.right * 400)
    top, bottom = round(crop.top * 400), 400 - round(crop.bottom * 400)
    cut = whole.crop((left, top, right, bottom))
    if crop.mirrored:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    likeness, near = compared(whole, cut, number)
    assert near
    assert likeness > 0.93


def test_nothing_cut_off_is_the_same():
    assert np.allclose(across(Crop(), SIDE), np.eye(SIDE))
    assert np.allclose(down(Crop(), SIDE), np.eye(SIDE))
    maps = reliefs(thumbnails(picture(2)).grey)
    assert np.allclose(cropped(maps, Crop()), maps, atol=1e-6)


def test_sampling_keeps_what_is_flat_or_straight():
    matrix = sampling(np.linspace(2, 7, 11), 10)
    assert np.allclose(matrix.sum(axis=1), 1)
    assert np.allclose(matrix @ np.arange(10), np.linspace(2, 7, 11), atol=1e-5)


def test_a_relief_knows_no_brightness_and_no_shading():
    grey = thumbnails(picture(3)).grey
    slope = np.linspace(0, 40, SIDE, dtype=np.float32)
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert np.allclose(reliefs(grey)[inner], reliefs(grey + 30 + slope)[inner], atol=0.05)


def test_stripes_are_spread_over_few_waves_and_pictures_over_many():
    stripes = np.tile(np.repeat([40, 200], 20), (200, 5)).astype(np.uint8)
    maps = reliefs(thumbnails(Image.fromarray(stripes), picture(4)).grey)
    few, many = spread(maps)
    assert few < 10
    assert many > 60


@pytest.mark.parametrize("size", [64, 100, 224])
@pytest.mark.parametrize("by", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_eight_by_eight_values_blown_up_have_little_detail(size, by):
    values = np.random.default_rng(5).integers(0, 256, (8, 8), np.uint8)
    blown_up = Image.fromarray(values).resize((size, size), by)
    assert has_little_detail(thumbnails(blown_up)).all()


def test_tiny_and_plain_pictures_have_little_detail_and_others_do_not():
    plain = Image.new("RGB", (300, 300), "white")
    tiny = picture(6, (40, 60))
    assert has_little_detail(thumbnails(plain, tiny, picture(6))).tolist() == [True, True, False]


def test_a_tiny_picture_needs_all_but_the_same_thumbnail():
    tiny = picture(7, (40, 40))
    barely = Image.fromarray(np.clip(np.asarray(tiny).astype(int) + 1, 0, 255).astype(np.uint8))
    blurred = tiny.resize((28, 28)).resize((40, 40), Image.Resampling.BICUBIC)
    assert compared(tiny, barely)[1]
    likeness, near = compared(tiny, blurred)
    assert likeness > 0.8
    assert not near


def test_the_same_detail_in_other_colours_is_another_picture():
    grey = np.asarray(picture(8).convert("L")).astype(float)
    red, green = (
        Image.fromarray((grey[..., None] * tint).astype(np.uint8))
        for tint in (np.array([1.0, 0.4, 0.4]), np.array([0.45, 0.75, 0.45]))
    )
    likeness, near = compared(red, green)
    assert likeness > 0.95
    assert not near
    assert compared(red, red.resize((160, 120)))[1]


def test_one_ground_does_not_make_two_pictures_one():
    pair = []
    for seed in (9, 10):
        image = Image.new("RGB", (320, 240), "white")
        image.paste(picture(seed).crop((90, 60, 230, 180)), (90, 60))
        pair.append(image)
    assert not compared(*pair)[1]
    grounds = np.corrcoef(*(thumbnails(image).grey.ravel() for image in pair))[0, 1]
    assert grounds > 0.6  # as they look at first sight
