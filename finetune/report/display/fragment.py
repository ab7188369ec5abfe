"""Pieces of HTML for a notebook: with their own style, and no script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.report.rendering import render


def fragment(template: str, **values: Any) -> str:
    """What ``template`` makes of ``values``; its style touches nothing outside of it."""
    return render(f"notebook/{template}", **values)


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first cell of a row names it, the others are numbers."""
    return fragment("table.html", caption=caption, header=header, rows=rows)
