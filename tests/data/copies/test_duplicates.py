"""The search and what it finds, from pictures to clusters."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from finetune.console import Silent
from finetune.data.copies.duplicates import Pair, clusters, duplicate_pairs
from finetune.data.copies.fingerprints import fingerprint
from finetune.data.public.digits import write_digits


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


def recoded(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


def lettered(image):
    drawing = ImageDraw.Draw(image := image.copy())
    drawing.rectangle((60, 150, 260, 185), fill="white")
    return image


COPIES = {
    "half the size": lambda image: image.resize((160, 120)),
    "three quarters": lambda image: image.resize((240, 180)),
    "another shape": lambda image: image.resize((200, 200)),
    "recoded": recoded,
    "brighter": lambda image: image.point(lambda value: min(255, value + 25)),
    "more contrast": lambda image: image.point(lambda value: min(255, value * 1.2)),
    "mirrored": ImageOps.mirror,
    "cropped": lambda image: image.crop((8, 6, 312, 234)),
    "cropped at the left": lambda image: image.crop((16, 0, 320, 240)),
    "cropped at the top": lambda image: image.crop((0, 12, 320, 240)),
    "cropped and mirrored": lambda image: ImageOps.mirror(image.crop((0, 0, 304, 240))),
    "lettered": lettered,
}


def searched(images, reporter=None):
    digests = [str(number) for number in range(len(images))]
    return duplicate_pairs(digests, [fingerprint(i) for i in images], reporter or Silent())


def named(found):
    return {(pair.first, pair.second) for pair in found}


@pytest.fixture(scope="module")
def pictures():
    return [picture(seed) for seed in range(60)]


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(pictures, kind):
    copies = [COPIES[kind](image) for image in pictures[:20]]
    assert named(searched(pictures + copies)) == {(n, 60 + n) for n in range(20)}


def test_the_work_is_shown(told, pictures):
    found = searched([*pictures, pictures[3].resize((160, 120))], told)
    assert [(pair.first, pair.second, pair.kind) for pair in found] == [(3, 60, "near")]
    assert told.advanced == 61
    assert 0.9 < found[0].likeness <= 1


def test_pictures_of_noise_are_all_different():
    generator = np.random.default_rng(7)
    noisy = []
    for number in range(200):
        hue = np.array([(200, 60, 60), (60, 190, 70), (128, 128, 128)][number % 3])
        pixels = hue + generator.normal(0, 60, (40, 40 + number % 5, 3))
        noisy.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    small = [
        Image.fromarray(generator.integers(0, 256, (7, 9, 3), np.uint8)) for number in range(200)
    ]
    assert searched(noisy + small) == []


def test_plain_pictures_are_one_only_where_they_are_equal():
    greys = [Image.new("RGB", (100, 100), (value,) * 3) for value in range(0, 256, 3)]
    assert searched(greys) == []
    again = [Image.new("RGB", (300, 200), (value,) * 3) for value in (0, 30)]
    assert named(searched(greys + again)) == {(0, 86), (10, 87)}


def test_plain_colours_of_one_brightness_are_not_one():
    red, green = (Image.new("RGB", (99, 99), colour) for colour in ((200, 0, 0), (0, 102, 0)))
    assert red.convert("L").getpixel((0, 0)) == green.convert("L").getpixel((0, 0))
    assert searched([red, green]) == []


def test_digits_are_not_taken_for_each_other(tmp_path):
    write_digits(tmp_path / "digits")
    paths = sorted((tmp_path / "digits").rglob("*.png"))[::6]
    for size in (32, 224):
        images = [Image.open(path).resize((size, size), Image.Resampling.BICUBIC) for path in paths]
        found = searched(images)
        assert len({place for pair in named(found) for place in pair}) <= len(paths) / 100


@pytest.mark.parametrize("sizes", [[(1, 1)] * 3, [(1, 5000), (5000, 1), (2, 3)], []])
def test_odd_sizes_are_searched(sizes):
    images = [Image.new("L", size, 40 * n) for n, size in enumerate(sizes)]
    assert searched(images) == []


def test_many_identical_ones_make_as_many_pairs(pictures):
    blank = fingerprint(Image.new("RGB", (80, 80), "white"))
    made = [fingerprint(image) for image in pictures]
    fingerprints = [blank] * 3000 + made
    digests = ["same"] * 1000 + [str(number) for number in range(2000)] + ["x"] * 2 + ["y"] * 58
    fingerprints[3001] = fingerprints[3000]
    found = duplicate_pairs(digests, fingerprints, Silent())
    kinds = [pair.kind for pair in found]
    assert kinds.count("exact") == 999 + 1 + 57
    assert kinds.count("near") == 2000
    assert [len(members) for members in clusters(found, 3060)] == [3000, 2, 58]


def test_what_cannot_be_read_takes_no_part(pictures):
    made = fingerprint(pictures[0])
    found = duplicate_pairs(["", "a", "", "b", "a"], [made, made, b"", made, b""], Silent())
    assert found == [Pair(1, 3, "near", 1.0), Pair(1, 4, "exact", 1.0)]


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_the_order_plays_no_part(pictures, data):
    images = [*pictures[:20], *(pictures[n].resize((160, 120)) for n in range(5))]
    images += [recoded(images[0]), images[0], Image.new("L", (70, 70)), Image.new("L", (90, 90))]
    made = [fingerprint(image) for image in images]
    order = data.draw(st.permutations(range(len(made))))
    one = clusters(duplicate_pairs([str(n) for n in order], made, Silent()), len(made))
    shuffled = [made[n] for n in order]
    other = clusters(duplicate_pairs([str(n) for n in order], shuffled, Silent()), len(made))
    assert {frozenset(members) for members in one} == {
        frozenset(order[place] for place in members) for members in other
    }


PAIRS = st.lists(
    st.tuples(st.integers(0, 29), st.integers(0, 29), st.floats(0.8, 1)).filter(
        lambda pair: pair[0] < pair[1]
    ),
    max_size=40,
)


@given(drawn=PAIRS)
def test_clusters_are_a_partition_and_hold_every_pair(drawn):
    found = clusters([Pair(first, second, "near", like) for first, second, like in drawn], 30)
    members = [place for cluster in found for place in cluster]
    assert len(members) == len(set(members))
    assert all(len(cluster) > 1 and cluster == sorted(cluster) for cluster in found)
    of = {place: number for number, cluster in enumerate(found) for place in cluster}
    assert all(of[first] == of[second] for first, second, _ in drawn)
    assert set(members) == {place for first, second, _ in drawn for place in (first, second)}


@given(drawn=PAIRS, data=st.data())
def test_clusters_know_no_order(drawn, data):
    pairs = [Pair(first, second, "near", like) for first, second, like in drawn]
    assert clusters(pairs, 30) == clusters(data.draw(st.permutations(pairs)), 30)


def chain(start, count, likeness):
    return [Pair(n, n + 1, "near", likeness) for n in range(start, start + count - 1)]


def test_a_crowd_is_cut_at_its_weakest_links():
    crowd = [*chain(0, 40, 0.93), Pair(39, 40, "near", 0.85), *chain(40, 30, 0.93)]
    assert [len(members) for members in clusters(crowd, 70)] == [40, 30]
    assert [len(members) for members in clusters(chain(0, 60, 0.97), 60)] == []
    assert [len(members) for members in clusters(chain(0, 60, 1.0), 60)] == [60]
    few = chain(0, 40, 0.81)
    assert [len(members) for members in clusters(few, 40)] == [40]
