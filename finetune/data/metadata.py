"""Whether a class shows in how its files were made: then a network learns the camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.data.files.looking import Look
from finetune.data.manifest import Item
from finetune.data.randomness import Purpose, derived_seed, sample_key, scrambled

_FOLDS = 5
_LEAST_GAIN = 0.05
_SIGMAS = 3.0
_FEWEST = 20

TRAITS: Mapping[str, Callable[[Look], str]] = {
    "file format": lambda look: look.format,
    "colour mode": lambda look: look.mode,
    "size in pixels": lambda look: f"{look.width}x{look.height}",
    "JPEG quality": lambda look: str(look.quality),
    "camera": lambda look: look.camera,
}
"""What is asked of a file's making. Not its bytes: how well a picture can be compressed is its
content too."""


@dataclass(frozen=True)
class MetadataLeak:
    """A trait of the files that tells the classes apart.

    Attributes:
        trait: A key of `TRAITS`.
        accuracy: Of the class that most files of the same trait have, on files left out.
        baseline: Accuracy of the commonest class.
        n: Files that it was scored on.
    """

    trait: str
    accuracy: float
    baseline: float
    n: int


def metadata_leaks(
    items: Sequence[Item], looks: Mapping[str, Look], seed: int
) -> list[MetadataLeak]:
    """The traits by which a majority vote beats guessing, the most telling first.

    The vote is scored on five folds, so that a trait with a value of its own for each file tells
    nothing. One counts when it is better by five points and by three standard errors of the
    difference.
    """
    known = [item for item in items if item.status == "ok" and item.path in looks]
    if len(known) < _FEWEST:
        return []
    labels = _codes([item.label for item in known])
    folds = _folds([item.path for item in known], seed)
    # Of all files: counted on the other folds, the commonest of even classes is always the other.
    guessed = np.bincount(labels).argmax()
    found = []
    for name, trait in TRAITS.items():
        voted = _voted(_codes([trait(looks[item.path]) for item in known]), labels, folds)
        gain = (voted == labels).astype(float) - (guessed == labels)
        if gain.mean() > max(_LEAST_GAIN, _SIGMAS * gain.std() / len(gain) ** 0.5):
            right, base = float((voted == labels).mean()), float((guessed == labels).mean())
            found.append(MetadataLeak(name, right, base, len(known)))
    return sorted(found, key=lambda leak: (-leak.accuracy, leak.trait))


def _voted(
    values: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], folds: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each file the commonest class among those of its value in the other folds, ``[N]``."""
    voted = np.empty_like(labels)
    classes = labels.max() + 1
    for fold in range(_FOLDS):
        inside = folds == fold
        usual = np.bincount(labels[~inside], minlength=classes).argmax()
        best = np.full(values.max() + 1, usual)
        # Only the pairs that there are: a table of all sizes and classes can take gigabytes.
        pairs, counts = np.unique(values[~inside] * classes + labels[~inside], return_counts=True)
        # The last of a value stays: the commonest class, of equals the first.
        ranked = pairs[np.lexsort((-pairs, counts))]
        best[ranked // classes] = ranked % classes
        voted[inside] = best[values[inside]]
    return voted


def _folds(paths: Sequence[str], seed: int) -> npt.NDArray[np.int64]:
    keys = np.array([sample_key(path) for path in paths], np.uint64)
    ranks = scrambled(keys, derived_seed(seed, Purpose.METADATA))
    return (ranks % np.uint64(_FOLDS)).astype(np.int64)


def _codes(values: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.unique(np.array(values), return_inverse=True)[1].astype(np.int64)
