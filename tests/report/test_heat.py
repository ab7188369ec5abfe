from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.report.heat import heated


@given(st.integers(0, 255), st.floats(0, 1), st.floats(0, 1))
def test_more_heat_is_lighter_whatever_the_picture(grey: int, one: float, other: float) -> None:
    pixels = np.full((1, 2, 3), grey, dtype=np.uint8)
    shown = heated(pixels, np.array([[min(one, other), max(one, other)]]))
    assert (shown.shape, shown.dtype) == ((1, 2, 3), np.uint8)
    cold, hot = shown[0].astype(float) @ [0.299, 0.587, 0.114]
    assert cold <= hot + 1


def test_the_picture_shows_through() -> None:
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    pixels[0] = 255
    shown = heated(pixels, np.zeros((2, 2)))
    assert (shown[0].astype(int) - shown[1] > 100).all()
