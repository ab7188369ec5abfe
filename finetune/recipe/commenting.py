"""A resolved recipe with comments: what it is, and why its keys hold what they do."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from finetune.recipe.writing import dump
from finetune.recipe.yaml_reader import read_text
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from finetune.recipe.schema import Recipe
    from finetune.recipe.tree import Node

_WIDTH = 100


def commented(recipe: Recipe, header: Sequence[str], reasons: Mapping[str, str]) -> str:
    """Every key of the recipe with its value, as `dump` has it, and comments in between.

    It reads back as the same recipe: a comment can hold nothing but one line's text.

    Args:
        recipe: What is written.
        header: Paragraphs that stand before it.
        reasons: Comments by dotted key, each above its key; a phase is called by its name.
            What the recipe doesn't have is left out.
    """
    text = dump(recipe)
    tree = read_text(text, "")
    comments = {_line_of(tree, key): reason for key, reason in reasons.items()}
    lines = [line for paragraph in header for line in _comment(paragraph, "")]
    for number, line in enumerate(text.split("\n"), 1):
        indent = line[: len(line) - len(line.lstrip())]
        lines += _comment(comments[number], indent) if number in comments else []
        lines.append(line)
    return "\n".join(lines)


def _line_of(tree: Node, key: str) -> int | None:
    """The line that ``key`` stands on; None where the recipe has no such key."""
    node: Node | None = tree
    for part in key.split("."):
        node = _below(node, part) if node else None
    return node.origin.line if node else None


def _below(node: Node, part: str) -> Node | None:
    if not isinstance(node.value, tuple):
        return node.children.get(part)
    named = [item for item in node.value if item.children["name"].value == part]
    return named[0] if named else None


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(
        printable(" ".join(text.split())),
        _WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_on_hyphens=False,
    )
