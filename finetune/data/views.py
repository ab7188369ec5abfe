"""A random view of a picture that fills the network's square, with antialiasing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from finetune.data.fitting import Box, Pixels, letterbox, resized

if TYPE_CHECKING:
    import random

    from finetune.data.input_spec import InputSpec

_TRIES = 10
_WIDEST = 4 / 3  # of width to height, and the inverse: Szegedy et al. 2015, section 6
_SMALLEST_WHOLE = 0.6  # of the area, for squash and letterbox, which promise to lose little


def random_view(image: Pixels, spec: InputSpec, smallest: float, draw: random.Random) -> Pixels:
    """A random part of ``image``, ``[H, W, 3]``, resized once to ``[size, size, 3]``.

    ``crop``: a box of ``smallest`` to all of the area, between 3:4 and 4:3. ``squash``: a box of
    at least 0.6 of the area and nearly the picture's own shape. ``letterbox``: all of the
    picture, up to 0.6 of the area smaller and anywhere on the square: nothing is lost.
    """
    if spec.fit == "letterbox":
        scale = math.sqrt(draw.uniform(max(smallest, _SMALLEST_WHOLE), 1.0))
        return letterbox(image, spec, scale, (draw.random(), draw.random()))
    height, width = image.shape[:2]
    if spec.fit == "squash":
        box = _random_box(width, height, max(smallest, _SMALLEST_WHOLE), width / height, draw)
    else:
        box = _random_box(width, height, smallest, 1.0, draw)
    return resized(image, (spec.size, spec.size), spec, box)


def _random_box(width: int, height: int, smallest: float, shape: float, draw: random.Random) -> Box:
    """The box of a random resized crop, as torchvision draws it, around ``shape`` (w to h)."""
    for _ in range(_TRIES):
        area = width * height * draw.uniform(smallest, 1.0)
        ratio = shape * math.exp(draw.uniform(-math.log(_WIDEST), math.log(_WIDEST)))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            return _placed(
                wide, high, draw.randint(0, width - wide), draw.randint(0, height - high)
            )
    return _central_box(width, height, shape)


def _central_box(width: int, height: int, shape: float) -> Box:
    wide = max(1, min(width, round(height * shape * _WIDEST)))
    high = max(1, min(height, round(width / shape * _WIDEST)))
    return _placed(wide, high, (width - wide) // 2, (height - high) // 2)


def _placed(wide: int, high: int, left: int, top: int) -> Box:
    return left, top, left + wide, top + high
