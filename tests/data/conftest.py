from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@dataclass
class Recorder:
    """A reporter that remembers what it was told."""

    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    counted: list[tuple[str, int]] = field(default_factory=list)

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        raise AssertionError("reading data shows no table")

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Counter]:
        counter = Counter(done)
        yield counter
        self.counted.append((title, counter.done))
        assert counter.done == total


@dataclass
class Counter:
    """A task that counts, and sees to it that all is counted."""

    done: int

    def rename(self, title: str) -> None:
        pass

    def advance(self, count: int = 1, **scores: float) -> None:
        self.done += count


@pytest.fixture
def told() -> Recorder:
    return Recorder()


def _write(path: Path, seed: int = 0, size: tuple[int, int] = (9, 7), **options: Any) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def write_image() -> Callable[..., Path]:
    return _write


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[[Mapping[str, int]], Path]:
    """Writes so many images into each folder, all different, and gives the root."""

    def write(counts: Mapping[str, int]) -> Path:
        root = tmp_path / "photos"
        root.mkdir(exist_ok=True)
        for place, (folder, count) in enumerate(counts.items()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                _write(root / folder / f"{number}.png", seed=1000 * place + number)
        return root

    return write
