"""What a choice of recipe looks at: the images, the machine, and what the frozen network sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from finetune.data.files.looking import Look
from finetune.data.manifest import Item

_GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "F")
"""Pillow's modes of one channel."""


@dataclass(frozen=True)
class DataTraits:
    """What is known of the training images; validation and test images have no part in it.

    Attributes:
        images: How many there are.
        classes: How many classes.
        smallest: Images of the class that has fewest.
        largest: Images of the class that has most.
        side: Median of the shorter side, in pixels.
        aspect: Median of the longer side over the shorter.
        grey: Share of the images that are stored in grey.
        symbols: Whether every class is called by one letter or digit, or by a number.
    """

    images: int
    classes: int
    smallest: int
    largest: int
    side: float
    aspect: float
    grey: float
    symbols: bool

    @property
    def per_class(self) -> float:
        """Mean images of a class."""
        return self.images / self.classes

    @property
    def imbalance(self) -> float:
        """How many times the largest class is as large as the smallest."""
        return self.largest / max(1, self.smallest)


@dataclass(frozen=True)
class MachineTraits:
    """What is known of the machine.

    Attributes:
        device: What computes, in words: ``a CPU``, or the name of a GPU.
        cores: That this process may use.
        memory: Bytes of the memory that the network has to fit into; 0: unknown.
        bfloat16: Whether ``device`` multiplies bfloat16 matrices natively.
    """

    device: str
    cores: int
    memory: int
    bfloat16: bool


@dataclass(frozen=True)
class ProbeTraits:
    """How a linear probe on the frozen network's features does, out of fold.

    Attributes:
        images: Training images that it was tried on.
        accuracy: Share that it gets right.
        log_loss: Its mean, calibrated, in nats.
    """

    images: int
    accuracy: float
    log_loss: float


def data_traits(
    train: Sequence[Item], classes: Sequence[str], looks: Mapping[str, Look]
) -> DataTraits:
    """The traits of the training images.

    Args:
        train: The images, one at least.
        classes: All classes by name.
        looks: What a look at the files told, by path; of one of the images at least.
    """
    counts = Counter(item.label for item in train)
    seen = [looks[item.path] for item in train if item.path in looks]
    sides = [sorted((look.width, look.height)) for look in seen]
    return DataTraits(
        images=len(train),
        classes=len(classes),
        smallest=min(counts[name] for name in classes),
        largest=max(counts.values()),
        side=median(short for short, _ in sides),
        aspect=median(long / short for short, long in sides),
        grey=sum(look.mode in _GREY_MODES for look in seen) / len(seen),
        symbols=all(len(name) == 1 or name.isdecimal() for name in classes),
    )
