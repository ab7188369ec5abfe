"""A recipe before it is checked: plain values that remember where each was written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a line of a file, or an option of the command line.

    Attributes:
        source: The file, or the option as it was given.
        line: Line of the file, from 1; ``None`` for an option.
    """

    source: str
    line: int | None = None

    @property
    def is_option(self) -> bool:
        """Whether it was given on the command line."""
        return self.line is None

    def __str__(self) -> str:
        return printable(self.source if self.is_option else f"{self.source}:{self.line}")


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its origin.

    Attributes:
        value: A mapping of keys to nodes, a tuple of nodes, or a plain value.
        origin: Where it was written.
    """

    value: Any
    origin: Origin

    @property
    def children(self) -> Mapping[str, Node]:
        """The nodes beneath a mapping by key; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """The value with mappings as dicts and lists as lists."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, tuple):
            return [child.plain() for child in self.value]
        return self.value

    def at(self, path: Path) -> Node:
        """The node at ``path``, or the deepest one on the way to it."""
        node = self
        for part in path:
            child = node._child(part)
            if child is None:
                break
            node = child
        return node

    def without(self, key: str) -> Node:
        """This mapping less one key."""
        return replace(self, value={k: v for k, v in self.children.items() if k != key})

    def _child(self, part: str | int) -> Node | None:
        if isinstance(self.value, tuple):
            return self.value[part] if isinstance(part, int) and part < len(self.value) else None
        return self.children.get(str(part))


def dotted(path: Sequence[str | int]) -> str:
    """``phases.1.epochs`` for ``("phases", 1, "epochs")``, safe to show."""
    return printable(".".join(str(part) for part in path))


def merged(base: Node, over: Node) -> Node:
    """``base`` with what ``over`` says: mappings are merged, anything else is replaced."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    children = dict(base.value)
    for key, child in over.value.items():
        children[key] = merged(children[key], child) if key in children else child
    return Node(children, over.origin)


def option_beneath(node: Node) -> Origin | None:
    """The last command-line option that set something at or beneath ``node``."""
    found = node.origin if node.origin.is_option else None
    children = node.value if isinstance(node.value, tuple) else node.children.values()
    for child in children:
        found = option_beneath(child) or found
    return found
