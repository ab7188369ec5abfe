"""What is odd about a picture that can be read: pure judgments on one look."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from finetune.data.files.looking import Look

TINY = 32
"""Pixels of the shorter side; a network that sees 224 is shown a blur of seven times its size."""

STRIP = 4.0
"""Longer side over shorter: a centre crop loses three quarters of the picture."""

BLANK = 2.0
"""Levels of 255: more variation than compression leaves in one colour. Even a plain cloth has 3.7,
the least of the 2,584 photographs that these limits were measured on."""

DARK, BRIGHT = 30.0, 225.0
"""Levels of 255 that 95 % of the pixels lie below, or above. Of those photographs the darkest has
40 (a spider in its web at night), the brightest 205."""

BLURRED = 0.10
"""Laplacian over luminance at 128 pixels. None of those photographs is below (the least, 0.127 and
0.136, are shaken); of the same blurred by a Gaussian of 1, 2, 3 and 4 % of the shorter side, 32,
92, 97 and 97 % are."""

_USUAL_MODES = frozenset({"RGB", "L", "YCbCr"})
_MODES = {
    "CMYK": "colours for print (CMYK)",
    "I;16": "16-bit grey",
    "I;16B": "16-bit grey",
    "1": "black and white, no grey",
    "P": "a palette of colours",
    "PA": "a palette of colours with transparency",
    "RGBA": "transparency",
    "LA": "transparency",
    "LAB": "colours in Lab",
}


def oddities(look: Look) -> Iterator[tuple[str, str]]:
    """The kind of each oddity, one word, with what was seen."""
    yield from _of_shape(look)
    yield from _of_light(look)
    if look.mode not in _USUAL_MODES:
        yield "mode", _MODES.get(look.mode, f"colour mode {look.mode}")
    if look.animated:
        yield "animated", "more than one picture in the file; the first is taken"


def _of_shape(look: Look) -> Iterator[tuple[str, str]]:
    shorter, longer = sorted((look.width, look.height))
    if shorter < TINY:
        yield "tiny", f"{look.width} x {look.height} pixels"
    if longer > STRIP * shorter:
        yield "shape", f"{look.width} x {look.height} pixels, {longer / shorter:.0f} to 1"


def _of_light(look: Look) -> Iterator[tuple[str, str]]:
    """Blank, dark, bright or blurred: the first that holds, as each brings the next with it."""
    if look.spread < BLANK:
        yield "blank", "nearly one colour"
    elif look.bright < DARK:
        yield "dark", f"95 % of it is darker than {look.bright:.0f} of 255"
    elif look.dark > BRIGHT:
        yield "bright", f"95 % of it is brighter than {look.dark:.0f} of 255"
    elif look.sharpness < BLURRED and min(look.width, look.height) >= TINY:
        yield "blurred", "no sharp edge in it"
