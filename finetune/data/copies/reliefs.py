"""What of a thumbnail is compared: its detail, without brightness, contrast and broad shading."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from finetune.data.copies.crops import Crop, Floats, across, down, sampling
from finetune.data.copies.fingerprints import SIDE

if TYPE_CHECKING:
    import numpy.typing as npt

    from finetune.data.copies.fingerprints import Thumbnails

_FINE, _AROUND = 1.5, 2.0
"""Standard deviations, in pixels of the thumbnail, of what is taken for shading, and of the
surroundings whose contrast is made one."""

_NOISE = 4.0
"""Grey levels: contrast far below it is left small, being what JPEG makes of a plain ground."""

_WAVES = 16
"""Of the cosine transform's waves along a side, so many are looked at to find candidates."""

_COARSE = 0.15
"""Of the contrast; 8 x 8 values blown up at any size leave less, 99 of 100 photographs more."""

_TINY = 48
"""Pixels. Two digits of 28 x 28 pixels, or the like, may agree as well as copies do."""


def reliefs(grey: Floats) -> Floats:
    """The detail of pictures ``[N, SIDE, SIDE]``: about 0, and 1 or -1 where there is any.

    Without it two shirts on a white ground agree by their ground, two framed pictures by their
    frames. It is what is finer than a few pixels, divided by its own strength round about (local
    contrast normalisation; Jarrett et al., ICCV 2009).
    """
    detail = grey - _blurred(grey, _FINE)
    strength = _blurred(detail * detail, _AROUND)
    relief: Floats = detail / np.sqrt(np.maximum(strength, 0) + _NOISE**2)
    return relief


def cropped(reliefs: Floats, crop: Crop) -> Floats:
    """Reliefs ``[N, SIDE, SIDE]`` of pictures that were cropped: those of the whole, cropped."""
    return _both_ways(reliefs, down(crop, SIDE), across(crop, SIDE))


def waves(reliefs: Floats, crop: Crop) -> Floats:
    """The cosine transform's broad waves of cropped reliefs, ``[N, F]``."""
    few = _cosines()[:_WAVES]
    found = _both_ways(reliefs, few @ down(crop, SIDE), few @ across(crop, SIDE))
    return found.reshape(len(reliefs), -1)[:, 1:]


def spread(reliefs: Floats) -> Floats:
    """Over how many waves the detail is spread, ``[N]``: few for stripes, 150 for a photo.

    The participation ratio of the cosine transform.
    """
    power = _both_ways(reliefs, _cosines(), _cosines()).reshape(len(reliefs), -1) ** 2
    ratio: Floats = power.sum(axis=1) ** 2 / np.maximum((power**2).sum(axis=1), 1e-9)
    return ratio


def has_little_detail(thumbnails: Thumbnails) -> npt.NDArray[np.bool_]:
    """Which pictures hold so little that two different ones may hardly differ, ``[N]``.

    Those that were tiny, and those that are hardly more than 8 x 8 values blown up.
    """
    grey = thumbnails.grey
    rest = np.minimum(*(_rest(grey, matrix) for matrix in _blow_ups()))
    coarse: npt.NDArray[np.bool_] = rest <= _COARSE * grey.std(axis=(1, 2))
    return coarse | (thumbnails.shorter < _TINY)


def _rest(grey: Floats, matrix: Floats) -> Floats:
    rest: Floats = ((grey - _both_ways(grey, matrix, matrix)) ** 2).mean(axis=(1, 2))
    return np.sqrt(rest)


def _blurred(maps: Floats, deviation: float) -> Floats:
    matrix = _gaussian(deviation)
    return _both_ways(maps, matrix, matrix)


def _both_ways(maps: Floats, left: Floats, right: Floats) -> Floats:
    """What matrices along both sides make of each map, ``[N, len(left), len(right)]``."""
    made: Floats = left @ maps @ right.T
    return made


@cache
def _gaussian(deviation: float) -> Floats:
    """A blur along a side, ``[SIDE, SIDE]``; beyond the edge its last pixel goes on."""
    matrix = np.zeros((SIDE, SIDE))
    reach = int(4 * deviation + 0.5)
    for offset in range(-reach, reach + 1):
        weight = np.exp(-0.5 * (offset / deviation) ** 2)
        np.add.at(matrix, (np.arange(SIDE), np.clip(np.arange(SIDE) + offset, 0, SIDE - 1)), weight)
    return np.array(matrix / matrix.sum(axis=1, keepdims=True), np.float32)


@cache
def _cosines() -> Floats:
    """The orthonormal cosine transform along a side (DCT-II), ``[SIDE, SIDE]``."""
    wave, place = np.arange(SIDE)[:, None], np.arange(SIDE)[None]
    matrix = np.sqrt(2 / SIDE) * np.cos(np.pi * wave * (2 * place + 1) / (2 * SIDE))
    matrix[0] /= np.sqrt(2)
    return np.array(matrix, np.float32)


@cache
def _blow_ups() -> tuple[Floats, Floats]:
    """Projections along a side on what 8 values make of it, as squares and as smooth slopes."""
    squares = np.kron(np.eye(8), np.ones((SIDE // 8, 1)))
    slopes = sampling((np.arange(SIDE) + 0.5) * 8 / SIDE - 0.5, 8)
    onto_squares, onto_slopes = (matrix @ np.linalg.pinv(matrix) for matrix in (squares, slopes))
    return onto_squares.astype(np.float32), onto_slopes.astype(np.float32)
