"""What a kind of file is, and the picture that most of them hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LIMIT = 10**6
"""Pixels that the corpus is to be looked at with."""


@dataclass(frozen=True)
class Kind:
    """A file and what is expected of it.

    Attributes:
        name: Of the file; says what it is.
        make: Its bytes, or what makes it at a path.
        reason: A pattern that the reason matches; None: the file can be read.
        odd: The kinds of its oddities, where it can be read.
    """

    name: str
    make: bytes | Callable[[Path], None]
    reason: str | None = None
    odd: frozenset[str] = frozenset()

    def write(self, folder: Path) -> Path:
        """Make the file in ``folder``."""
        path = folder / self.name
        if isinstance(self.make, bytes):
            path.write_bytes(self.make)
        else:
            self.make(path)
        return path


def bad(name: str, make: bytes | Callable[[Path], None], reason: str) -> Kind:
    """A file that can't be read."""
    return Kind(name, make, reason)


def fine(name: str, make: bytes | Callable[[Path], None], *odd: str) -> Kind:
    """A file that can be read."""
    return Kind(name, make, None, frozenset(odd))


def photo(mode: str = "RGB", size: tuple[int, int] = (96, 72), seed: int = 0) -> Image.Image:
    """A picture that nothing is odd about: large areas, edges and a little noise."""
    width, height = size
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    discs = np.stack([(across - at) ** 2 + (down - 0.5) ** 2 < 0.05 for at in (0.3, 0.5, 0.7)], -1)
    noise = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    pixels = 60 + 60 * across[..., None] + 90 * discs + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)


def stored(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of ``image`` in a format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
