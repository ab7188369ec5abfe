"""Heat on a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_COLOURS = np.array(
    [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], dtype=np.float32
)
"""Of viridis (Smith and van der Walt 2015), from no heat to the most: in order of lightness too,
for the colour-blind and in print."""

_STRENGTH = 0.55


def heated(pixels: npt.NDArray[np.uint8], heat: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """The picture in grey with the heat in colour over it, uint8 ``[H, W, 3]``.

    Args:
        pixels: RGB, ``[H, W, 3]``.
        heat: From 0 to 1, ``[H, W]``.
    """
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    steps = np.linspace(0, 1, len(_COLOURS))
    colour = np.stack([np.interp(heat, steps, channel) for channel in _COLOURS.T], axis=-1)
    mixed = (1 - _STRENGTH) * grey[..., None] + _STRENGTH * colour
    return np.asarray(mixed.round().clip(0, 255), dtype=np.uint8)
