"""How a picture of any shape becomes the network's square: the evaluation preprocessing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from finetune.data.input_spec import InputSpec

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_LONGEST = 16  # times the shorter side; a strip beyond it would be blown up to fill the memory
_KEPT_OF_A_STRIP = 4


def fit_image(image: Pixels, spec: InputSpec) -> Pixels:
    """A picture ``[H, W, 3]`` as the network sees it in scoring, ``[size, size, 3]``.

    ``crop`` gives the pixels of timm's evaluation transform: the shorter side to
    ``floor(size / crop_pct)``, then the centre. ``squash`` resizes both sides to ``size``.
    ``letterbox`` resizes the longer side to ``size``; the bars have the spec's mean colour.
    """
    if spec.fit == "squash":
        return resized(image, (spec.size, spec.size), spec)
    if spec.fit == "letterbox":
        return letterbox(image, spec)
    return _centre_crop(image, spec)


def resized(
    image: Pixels, size: tuple[int, int], spec: InputSpec, box: Box | None = None
) -> Pixels:
    """``image``, or the part in ``box``, at another size by the spec's filter, antialiased.

    Args:
        image: ``[H, W, 3]``.
        size: Width and height in pixels.
        spec: Names the filter.
        box: Left, top, right, bottom in pixels.
    """
    if box is not None:
        left, top, right, bottom = box
        image = image[top:bottom, left:right]
    return np.array(Image.fromarray(image).resize(size, _FILTERS[spec.interpolation]))


def reduced(image: Pixels, shorter: int, spec: InputSpec) -> Pixels:
    """``image``, ``[H, W, 3]``, made smaller where its shorter side is above ``shorter`` pixels."""
    height, width = image.shape[:2]
    scale = shorter / min(height, width)
    if scale >= 1.0:
        return image
    return resized(image, (max(1, round(width * scale)), max(1, round(height * scale))), spec)


def letterbox(
    image: Pixels, spec: InputSpec, scale: float = 1.0, place: tuple[float, float] = (0.5, 0.5)
) -> Pixels:
    """The whole picture on a square of the spec's mean colour, ``[size, size, 3]``.

    Args:
        image: ``[H, W, 3]``.
        spec: Size, filter and colour.
        scale: The picture's longer side as a share of the square's.
        place: Where the picture stands in the free space, across and down; 0.5 is the middle.
    """
    height, width = image.shape[:2]
    factor = spec.size * scale / max(height, width)
    inner = max(1, round(width * factor)), max(1, round(height * factor))
    left = round((spec.size - inner[0]) * place[0])
    top = round((spec.size - inner[1]) * place[1])
    square = np.empty((spec.size, spec.size, 3), np.uint8)
    square[:] = [round(255 * channel) for channel in spec.mean]
    square[top : top + inner[1], left : left + inner[0]] = resized(image, inner, spec)
    return square


def _centre_crop(image: Pixels, spec: InputSpec) -> Pixels:
    image = _without_far_ends(image)
    height, width = image.shape[:2]
    shorter = math.floor(spec.size / spec.crop_pct)
    # The longer side is cut down to whole pixels, not rounded: as torchvision does.
    size = (
        (shorter, int(shorter * height / width))
        if width <= height
        else (int(shorter * width / height), shorter)
    )
    left, top = (round((side - spec.size) / 2) for side in size)
    return resized(image, size, spec)[top : top + spec.size, left : left + spec.size].copy()


def _without_far_ends(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    shorter, longer = sorted((height, width))
    if longer <= _LONGEST * shorter:
        return image
    start = (longer - _KEPT_OF_A_STRIP * shorter) // 2
    middle = slice(start, start + _KEPT_OF_A_STRIP * shorter)
    return image[middle] if height > width else image[:, middle]
