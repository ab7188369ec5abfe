"""Markdown in which no name from the data is ever more than text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from finetune.report.rendering import shortened
from finetune.text import printable

_ACTIVE = re.compile(
    r"(?<![^\W_])_|_(?![^\W_])|(?<=www)\.|:(?=\S)|[#$&*<>@\[\\\]^`{|}~]", re.IGNORECASE
)
"""What could be more than text inside a line; an underscore between two letters is not."""


def plain(text: str) -> str:
    """``text`` so that it is shown as it is, inside a line or a cell of a table.

    Marks become entities, which can't begin a link, a tag, emphasis or a cell. A backslash before
    them would do in most places, but not before ``|`` after another backslash.
    """
    shown = shortened(text).strip()
    return _ACTIVE.sub(lambda mark: f"&#{ord(mark.group())};", shown) or "(no name)"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> list[str]:
    """The lines of a table; cells are Markdown already.

    Args:
        header: Of each column.
        rows: As many cells as the header.
        texts: Columns before the numbers, which stand to the right.
    """
    rule = ["---"] * texts + ["---:"] * (len(header) - texts)
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]


def code_block(text: str, language: str) -> list[str]:
    """The lines of a block that shows ``text`` as it is; its fence is longer than any inside."""
    runs = re.findall("`+", text)
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    return [f"{fence}{language}", *(printable(line) for line in text.splitlines()), fence]
