from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(os.environ.get("FINETUNE_REAL", Path(__file__).parents[2] / "shared"))
"""Holds ``datasets/`` and ``weights/``: real ones, for the tests that are marked so."""
HUES = {"red": (200, 60, 60), "green": (60, 190, 70), "blue": (70, 80, 200), "grey": (128,) * 3}


def write_photos(folder: Path, counts: dict[str, int], *, size: int = 40, noise: int = 60) -> Path:
    """Class folders of noisy pictures whose hue is their class: seeded, so always the same."""
    generator = np.random.default_rng(7)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            hue = np.array(HUES.get(name, (90, 90, 90)))
            pixels = hue + generator.normal(0, noise, (size, size + number % 5, 3))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / name / f"{number:03}.png")
    return folder


@pytest.fixture(scope="session", name="write_photos")
def write_photos_fixture() -> Callable[..., Path]:
    """`write_photos` itself, for fixtures with folders of their own."""
    return write_photos


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Writes a data set below the test's own folder."""
    return lambda counts, name="photos", **options: write_photos(tmp_path / name, counts, **options)


@pytest.fixture(scope="session", autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests keep features below their own folder, never in that of the person who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINETUNE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"there are no real images and weights in {SHARED}")
    return SHARED
