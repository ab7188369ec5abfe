"""Pictures that can be read and that a person should look at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageFilter

from tests.data.corpus.kinds import Kind, fine, photo, stored


def kinds() -> Iterator[Kind]:
    for size in ((1, 1), (2, 2), (1, 30), (31, 31)):
        noise = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
        odd = {(1, 1): {"blank"}, (1, 30): {"shape"}}.get(size, set())
        yield fine(
            f"{size[1]} x {size[0]}.png", stored(Image.fromarray(noise), "PNG"), "tiny", *odd
        )
    for size in ((1, 5_000), (5_000, 1)):
        strip = photo(size=(200, 200)).resize(size)
        yield fine(f"{size[0]} x {size[1]}.png", stored(strip, "PNG"), "tiny", "shape")
    long = photo(size=(200, 200)).resize((65_500, 8))
    yield fine("65,500 x 8.jpg", stored(long, "JPEG"), "tiny", "shape")
    for name in ("white", "black", "grey", "red"):
        plain = Image.new("RGB", (96, 72), name)
        yield fine(f"plain {name}.png", stored(plain, "PNG"), "blank")
        yield fine(f"plain {name}.jpg", stored(plain, "JPEG", quality=30), "blank")
    yield fine("dark.jpg", stored(photo().point(lambda level: level // 9), "JPEG"), "dark")
    yield fine(
        "bright.jpg", stored(photo().point(lambda level: 255 - level // 9), "JPEG"), "bright"
    )
    soft = photo(size=(400, 300)).filter(ImageFilter.GaussianBlur(12))
    yield fine("blurred.jpg", stored(soft, "JPEG"), "blurred")
    noise = np.random.default_rng(4).integers(0, 256, (72, 96, 3), np.uint8)
    yield fine("noise.png", stored(Image.fromarray(noise), "PNG"))
