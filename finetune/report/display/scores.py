"""Scores with their intervals, in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.evaluation.names import SCORE_NAMES
from finetune.report.display.fragment import fragment

_ERRORS = frozenset({"log_loss", "brier", "ece"})
"""Less is better: a bar from 0 to 1 would read wrongly beside the others."""


@dataclass(frozen=True)
class ScoreLine:
    """A score in a table.

    Attributes:
        name: What people call it.
        score: ``value``, ``low`` and ``high``.
        drawn: Whether its interval has a bar.
    """

    name: str
    score: Mapping[str, float | None]
    drawn: bool


def scores(caption: str, metrics: Mapping[str, Any], heading: str = "value") -> str:
    """A table of ``metrics.json`` or ``cv.json``, and what a guess would score.

    Args:
        caption: What was scored; may hold names from the data.
        metrics: The scores.
        heading: Of their column.
    """
    lines = [ScoreLine(name, metrics[key], key not in _ERRORS) for key, name in SCORE_NAMES.items()]
    guess = ScoreLine("a guess of the commonest class", metrics["baseline"]["majority"], True)
    return fragment(
        "scores.html",
        caption=caption,
        heading=heading,
        confidence=metrics["confidence"],
        lines=[*lines, guess],
    )
