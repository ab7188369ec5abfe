"""Which scores can't be relied on, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finetune.evaluation.clusters import Groups
from finetune.text import listed, plural

FEWEST = 10
"""Images (or groups) of a class from which on intervals were seen to hold the truth as often as
they should (``benchmarks/coverage.py``)."""

FEWEST_IN_ALL = 50
"""Images (or groups) in all, likewise, for the scores that are means over images."""

_OVER_CLASSES = ("balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "class_scores")
_OVER_IMAGES = ("log_loss", "brier")


def unsure(
    labels: npt.NDArray[np.integer],
    classes: Sequence[str],
    groups: Groups | None,
    error: float | None,
    chance: float | None,
) -> dict[str, str]:
    """The keys of ``metrics.json`` whose interval or value can't be relied on, with the reason.

    Args:
        labels: Class indices ``[N]``.
        classes: The C classes' names.
        groups: The images' groups ``[N]``; None: each its own.
        error: The calibration error.
        chance: What chance alone would make it.
    """
    if not len(labels):
        return {}
    unit, units = ("image", "images") if groups is None else ("group", "groups")
    counts = {int(c): _count(labels == c, groups) for c in np.unique(labels)}
    small = [classes[c] for c, count in counts.items() if count < FEWEST]
    everyone = _count(np.ones(len(labels), dtype=bool), groups)
    told: dict[str, str] = {}
    if small:
        which = f"{plural(len(small), 'class', 'classes')} of fewer than {FEWEST} {units}"
        told |= dict.fromkeys(_OVER_CLASSES, f"{which}: {listed(small)}")
    if everyone < FEWEST_IN_ALL:
        told |= dict.fromkeys(_OVER_IMAGES, f"there are {plural(everyone, unit)} in all")
    if groups is not None and everyone < FEWEST:
        told |= dict.fromkeys(("accuracy", "top_k"), f"there are {plural(everyone, unit)} in all")
    if error is not None and chance is not None and chance > error / 2:
        told["ece"] = f"chance alone would make it {chance:.3f}"
    return told


def _count(chosen: npt.NDArray[np.bool_], groups: Groups | None) -> int:
    return int(chosen.sum()) if groups is None else len(np.unique(groups[chosen]))
