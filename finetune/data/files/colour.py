"""From every way in which the formats hold colour to 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

_WHITE = (255, 255, 255, 255)
_SIXTEEN_BIT_GREY = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_WITH_ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})
_STRAIGHT = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})

_UNKNOWN = {"I": "whole numbers of 32 bits", "F": "floating-point numbers"}


class UnknownRange(ValueError):
    """The values of an image don't say which of them is white."""


def to_rgb(image: Image.Image) -> Image.Image:
    """``image`` as 8-bit RGB; what is transparent lies on white.

    Raises:
        UnknownRange: The values have no known range (32-bit whole or floating-point grey).
    """
    if image.mode in _SIXTEEN_BIT_GREY:
        return _from_sixteen_bits(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
    if image.mode in _STRAIGHT:
        return image if image.mode == "RGB" else image.convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    kind = _UNKNOWN.get(image.mode, f"pixels of kind {image.mode}")
    raise UnknownRange(f"{kind} have no known range; save the image with 8 or 16 bits")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    # 65535 / 257 is 255 exactly, so black and white stay what they are.
    values = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:
        raise ValueError("Lab colours can't be converted")
    return converted
