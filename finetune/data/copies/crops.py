"""Pictures with a little cut off, or mirrored: as matrices that act on a map of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Crop:
    """What is cut off of each side, as a share of the picture, and whether it is mirrored then."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    mirrored: bool = False


_CUTS = (
    (0.0, 0.0, 0.0, 0.0),
    (0.025, 0.025, 0.025, 0.025),
    (0.05, 0.0, 0.0, 0.0),
    (0.0, 0.05, 0.0, 0.0),
    (0.0, 0.0, 0.05, 0.0),
    (0.0, 0.0, 0.0, 0.05),
)

CROPS = tuple(Crop(*cut, mirrored=mirrored) for mirrored in (False, True) for cut in _CUTS)
"""Every picture is looked for as each of these; the first is the picture as it is."""


@cache
def across(crop: Crop, side: int) -> Floats:
    """The matrix ``[side, side]`` that makes a cropped row of a row."""
    matrix = _cut(crop.left, crop.right, side)
    return matrix[::-1].copy() if crop.mirrored else matrix


@cache
def down(crop: Crop, side: int) -> Floats:
    """The matrix ``[side, side]`` that makes a cropped column of a column."""
    return _cut(crop.top, crop.bottom, side)


def sampling(places: Floats, count: int) -> Floats:
    """The matrix ``[len(places), count]`` that reads a row of ``count`` values between its pixels.

    By Catmull-Rom's cubic; beyond the edges the last value goes on.
    """
    whole = np.floor(places).astype(int)
    t = places - whole
    weights = (
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (t**3 - t**2) / 2,
    )
    matrix = np.zeros((len(places), count), np.float32)
    for offset, weight in enumerate(weights, start=-1):
        np.add.at(matrix, (np.arange(len(places)), np.clip(whole + offset, 0, count - 1)), weight)
    return matrix


def _cut(before: float, after: float, side: int) -> Floats:
    """Samples what is left at ``side`` places."""
    places = before * side + (np.arange(side) + 0.5) * (1 - before - after) - 0.5
    return sampling(places, side)
