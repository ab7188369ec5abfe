"""How alike two pictures are, by their thumbnails, and whether that makes them near-duplicates."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from finetune.data.copies.crops import CROPS, Floats
from finetune.data.copies.fingerprints import SIDE, Thumbnails
from finetune.data.copies.reliefs import cropped, has_little_detail, reliefs, spread

Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

_LIKE = 0.80
"""Correlation of reliefs. Of copies cropped by 5 %, 98 in 100 have 0.86 and more, but for the
finest textures; two shirts of one cut on one ground have 0.72 at most (benchmarks/leaks.py)."""

_MOSTLY_LIKE = 0.94
"""The same without the squares that differ the most, where there may be lettering:
watermarked copies have 0.97 and more, two shirts 0.87 at most."""

_REPEATING, _MOSTLY_REPEATING = 0.84, 0.97
"""The same for stripes and chequers; two photographs of chequers of the same kind have 0.81."""

_FEW = 20.0
"""Waves that a picture's detail is spread over, below which it is but stripes or chequers."""

_EQUAL = 0.05
"""Root of the mean squared difference, as a share of the contrast, for pictures of little detail;
two digits differ by 0.1 and more. Of no contrast, only equal ones are near-duplicates."""

_SQUARES = 8
"""Along a side, for the comparison without some of them."""

_LEFT_OUT = 0.25
"""Share of a picture's detail that may lie in squares which are left out."""

_CAST, _PALER = 6.0, 0.4
"""How far colours may differ: so many steps of 255 and this share of their strength on top (root
of the mean square). Copies stay within half of it, as a rule; a picture coloured anew is beyond."""


@dataclass(frozen=True)
class Looks:
    """What pictures are compared by.

    Attributes:
        grey: Brightness, ``[N, SIDE, SIDE]``.
        colour: As in `Thumbnails`, ``[N, 2, COLOURS, COLOURS]``.
        relief: The detail, ``[N, SIDE, SIDE]``.
        little: Whether there is little of it, ``[N]``.
        repeating: Whether it is but stripes or chequers, ``[N]``.
    """

    grey: Floats
    colour: Floats
    relief: Floats
    little: Flags
    repeating: Flags

    @classmethod
    def of(cls, thumbnails: Thumbnails) -> Looks:
        """Those of thumbnails."""
        relief = reliefs(thumbnails.grey)
        little = has_little_detail(thumbnails)
        return cls(thumbnails.grey, thumbnails.colour, relief, little, spread(relief) < _FEW)

    def __getitem__(self, places: Indices) -> Looks:
        """Those of some, or of one several times."""
        return Looks(*(getattr(self, field.name)[places] for field in fields(self)))


def compare(first: Looks, second: Looks, crops: Indices) -> tuple[Floats, Flags]:
    """How alike the n-th of both are, and whether they are near-duplicates, ``[N]`` each.

    Args:
        first: Pictures of which the others may be copies.
        second: The others.
        crops: As which of `CROPS` to take the first, ``[N]``.
    """
    relief, colour = _taken_as(first, crops)
    likeness, mostly = _correlations(relief, second.relief)
    repeating = first.repeating | second.repeating
    near = (likeness >= np.where(repeating, _REPEATING, _LIKE)) | (
        mostly >= np.where(repeating, _MOSTLY_REPEATING, _MOSTLY_LIKE)
    )
    little = first.little | second.little
    near = np.where(little, _equal(first.grey, second.grey), near)
    return likeness, near & _same_colours(colour, second.colour)


def _taken_as(looks: Looks, crops: Indices) -> tuple[Floats, Floats]:
    """Reliefs and colours, cropped; of the colours, which are coarse, only mirrored."""
    relief, colour = looks.relief.copy(), looks.colour.copy()
    for number in np.unique(crops[crops > 0]):
        own = crops == number
        relief[own] = cropped(relief[own], CROPS[number])
        if CROPS[number].mirrored:
            colour[own] = colour[own, :, :, ::-1]
    return relief, colour


def _correlations(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Of whole reliefs, and of the squares that differ least, ``[N]`` each."""
    both, one, other = (
        _by_square(a * b) for a, b in ((first, second), (first, first), (second, second))
    )
    kept = ~_left_out(one + other - 2 * both, np.minimum(one, other))
    return _correlation(both, one, other), _correlation(both * kept, one * kept, other * kept)


def _left_out(differences: Floats, detail: Floats) -> Flags:
    """The squares that differ most, as long as they hold no more than a share of the detail.

    By detail and not by area: else two small things on one ground would be left out whole.
    """
    order = np.argsort(-differences, axis=1)
    passed = np.cumsum(np.take_along_axis(detail, order, axis=1), axis=1)
    out = np.empty(detail.shape, bool)
    np.put_along_axis(out, order, passed <= _LEFT_OUT * detail.sum(axis=1, keepdims=True), axis=1)
    return out


def _correlation(both: Floats, one: Floats, other: Floats) -> Floats:
    product = one.sum(axis=1) * other.sum(axis=1)
    correlation: Floats = both.sum(axis=1) / np.sqrt(np.maximum(product, 1e-12))
    return correlation


def _by_square(values: Floats) -> Floats:
    """Sums over each of the squares, ``[N, 64]``."""
    width = SIDE // _SQUARES
    squares = values.reshape(-1, _SQUARES, width, _SQUARES, width)
    sums: Floats = squares.sum(axis=(2, 4)).reshape(len(values), -1)
    return sums


def _equal(first: Floats, second: Floats) -> Flags:
    contrast = np.minimum(first.std(axis=(1, 2)), second.std(axis=(1, 2)))
    equal: Flags = _size(first - second) <= _EQUAL * contrast
    return equal


def _same_colours(first: Floats, second: Floats) -> Flags:
    strength = np.maximum(_size(first), _size(second))
    return np.less_equal(_size(first - second), _CAST + _PALER * strength)


def _size(values: Floats) -> Floats:
    """Root of the mean square, ``[N]``."""
    squares: Floats = (values**2).reshape(len(values), -1).mean(axis=1)
    return np.sqrt(squares)
