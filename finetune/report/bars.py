"""Bars beside numbers: widths in percent, drawn by the templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a bar.

    Attributes:
        name: What it stands for; how it is filled goes by that.
        start: Percent of the whole width.
        width: Likewise.
    """

    name: str
    start: float
    width: float


def stacked(counts: Mapping[str, int], longest: int) -> Iterator[Segment]:
    """One after the other, so that ``longest`` of them together would fill the width."""
    start = 0
    for name, count in counts.items():
        if count:
            yield Segment(name, round(100 * start / longest, 2), round(100 * count / longest, 2))
        start += count
