"""What is kept of a picture to find its near-duplicates: a small thumbnail, and its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDE = 40
"""Of the thumbnail, in pixels. At 32, a picture of fine texture and one cropped out of it agreed
no better than two shirts on the same ground; 48 would find few more and take half as much again."""

COLOURS = 8
"""Squares along a side of which the colour is kept."""

FINGERPRINT_BYTES = SIDE * SIDE + 2 * COLOURS * COLOURS + 1
FINGERPRINT_VERSION = 1
"""Changes whenever a picture's fingerprint does: kept ones are then made again."""


@dataclass(frozen=True)
class Thumbnails:
    """Fingerprints, taken apart.

    Attributes:
        grey: Brightness, ``[N, SIDE, SIDE]``, 0 to 255.
        colour: Blue and red against the brightness (Cb, Cr), ``[N, 2, COLOURS, COLOURS]``; 0 is
            grey, and 127 the most.
        shorter: The shorter side of what was thumbnailed, ``[N]``, in pixels; 255 and more are 255.
    """

    grey: npt.NDArray[np.float32]
    colour: npt.NDArray[np.float32]
    shorter: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, values: npt.NDArray[np.uint8]) -> Thumbnails:
        """Those of fingerprints as `stacked` gives them, or of some of these."""
        grey, colour, shorter = np.split(values, [SIDE * SIDE, FINGERPRINT_BYTES - 1], axis=1)
        return cls(
            grey.reshape(-1, SIDE, SIDE).astype(np.float32),
            colour.reshape(-1, 2, COLOURS, COLOURS).astype(np.float32) - 128,
            shorter[:, 0],
        )


def stacked(fingerprints: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Fingerprints as an array ``[N, FINGERPRINT_BYTES]``."""
    return np.frombuffer(b"".join(fingerprints), np.uint8).reshape(-1, FINGERPRINT_BYTES)


def fingerprint(image: Image.Image) -> bytes:
    """The fingerprint of an upright picture: `FINGERPRINT_BYTES` bytes.

    The picture is squashed to a square, so that copies of another shape have nearly the same.

    Args:
        image: RGB or grey, of any size. One that was reduced when decoded does as well, as long
            as its shorter side has 64 pixels.
    """
    # With a gap, a large picture is averaged over whole pixels first, which is many times faster.
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    grey, *colour = small.convert("RGB").convert("YCbCr").split()
    squares = [channel.reduce(SIDE // COLOURS).tobytes() for channel in colour]
    return b"".join([grey.tobytes(), *squares, bytes([min(255, *image.size)])])
