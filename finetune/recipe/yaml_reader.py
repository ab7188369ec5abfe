"""YAML, read safely and with the line of every value.

Plain values follow YAML 1.2, where ``3e-4`` is a number and ``no``, ``on`` and ``off`` are text
(in YAML 1.1, PyYAML's own dialect, the first is text and the others are true or false). Tags
and merge keys are refused, and so is a file that is large, deep, or grows by its aliases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from finetune.errors import RecipeError
from finetune.recipe.faults import Fault, together
from finetune.recipe.tree import Node, Origin
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from finetune.recipe import tree

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
MAX_DEPTH = 32
MAX_ALIASES = 32

_TAG = "tag:yaml.org,2002:"
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z"
    r"|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"
)


def read_file(path: Path, source: str) -> Node:
    """The mapping that the file holds.

    Args:
        path: The file.
        source: What faults call it.

    Raises:
        RecipeError: It can't be read, is no UTF-8 or YAML, is no mapping, or is over a limit.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise RecipeError(f"can't be read ({error.strerror})", where=printable(source)) from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            "is no UTF-8 text",
            where=printable(source),
            mend="A recipe is a YAML file saved as UTF-8.",
        ) from error
    if len(content) > MAX_BYTES:
        raise RecipeError(f"is larger than {MAX_BYTES // 1024} KiB", where=printable(source))
    node = read_text(text, source)
    if not isinstance(node.value, dict):
        raise together([Fault(node.origin, (), "a recipe is a mapping of keys to values")])
    return node


def read_text(text: str, source: str, *, option: bool = False) -> Node:
    """The value that ``text`` stands for.

    Args:
        text: A YAML document.
        source: What faults call it.
        option: It is a value of the command line, so that its lines say nothing.

    Raises:
        RecipeError: It is no YAML, or over a limit; all that is wrong with its keys and tags is
            told together.
    """
    try:
        loader = _Loader(text)
        composed = loader.get_single_node()
        if composed is None:
            return Node(None, Origin(source, None if option else 1))
        building = _Building(source, loader, option)
        node = building.node(composed, ())
    except yaml.YAMLError as error:
        raise _broken(error, text, source, option) from error
    if building.faults:
        raise together(building.faults)
    return node


class _Loader(yaml.SafeLoader):
    """Composes nodes, under limits; it constructs nothing."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own form

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.nodes = self.aliases = self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As PyYAML, unless a limit is passed."""
        self.aliases += self.check_event(yaml.AliasEvent)
        self.nodes += 1
        self.depth += 1
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        _limit(self.aliases, MAX_ALIASES, "more than {} aliases", mark)
        _limit(self.nodes, MAX_NODES, "more than {} values", mark)
        _limit(self.depth, MAX_DEPTH, "nested more than {} deep", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _name, _pattern, _first in (
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    ("int", re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789")),
    ("float", FLOAT, list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_READ: dict[str, Callable[[str], Any]] = {
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": lambda text: text.lower() == "true",
    f"{_TAG}int": int,
    f"{_TAG}float": _float,
    f"{_TAG}str": str,
}


@dataclass
class _Building:
    """Composed YAML on its way to a `Node`; faults gather on the way."""

    source: str
    loader: _Loader
    option: bool
    faults: list[Fault] = field(default_factory=list)
    nodes: int = 0

    def node(self, composed: yaml.Node, path: tree.Path) -> Node:
        """Build one value and all beneath it; aliased values are built (and counted) again."""
        self.nodes += 1
        _limit(self.nodes, MAX_NODES, "more than {} values by its aliases", composed.start_mark)
        _limit(len(path), MAX_DEPTH, "nested more than {} deep by its aliases", composed.start_mark)
        if composed.tag != self._own_tag(composed):
            self._fault(composed, path, f"the tag {composed.tag} is refused; write a plain value")
        if isinstance(composed, yaml.MappingNode):
            return Node(self._mapping(composed, path), self._origin(composed))
        if isinstance(composed, yaml.SequenceNode):
            items = (self.node(item, (*path, i)) for i, item in enumerate(composed.value))
            return Node(tuple(items), self._origin(composed))
        return Node(self._scalar(composed, path), self._origin(composed))

    def _mapping(self, composed: yaml.MappingNode, path: tree.Path) -> dict[str, Node]:
        children: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in composed.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if key_node.tag != f"{_TAG}str":
                self._fault(key_node, path, f"a key must be text; quote {_quoted(key_node)}")
                continue
            if key in lines:
                first = "" if self.option else f" (first on line {lines[key]})"
                self._fault(key_node, (*path, key), f"stands here a second time{first}; drop one")
            lines.setdefault(key, line)
            child = self.node(value_node, (*path, key))
            children[key] = Node(child.value, self._origin(key_node))
        return children

    def _scalar(self, composed: yaml.Node, path: tree.Path) -> Any:
        try:
            return _READ[composed.tag](composed.value) if composed.tag in _READ else None
        except ValueError:
            self._fault(composed, path, f"can't be read as a number: {composed.value[:20]}...")
            return None

    def _own_tag(self, composed: yaml.Node) -> str:
        """The tag that the value has where none is written."""
        plain = isinstance(composed, yaml.ScalarNode) and composed.style is None
        implicit = (plain, not plain)
        tag = self.loader.resolve(type(composed), composed.value, implicit)  # type: ignore[no-untyped-call]
        return str(tag)

    def _origin(self, composed: yaml.Node) -> Origin:
        return Origin(self.source, None if self.option else composed.start_mark.line + 1)

    def _fault(self, composed: yaml.Node, path: tree.Path, message: str) -> None:
        self.faults.append(Fault(self._origin(composed), path, message))


def _quoted(key: yaml.Node) -> str:
    return f'it: "{key.value}"' if isinstance(key, yaml.ScalarNode) else "it"


def _limit(count: int, most: int, message: str, mark: Any) -> None:
    if count > most:
        raise yaml.MarkedYAMLError(problem=message.format(f"{most:,}"), problem_mark=mark)


def _broken(error: yaml.YAMLError, text: str, source: str, option: bool) -> RecipeError:
    """What PyYAML found, with its line."""
    problem, line = str(error), 1
    if isinstance(error, yaml.MarkedYAMLError):
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        line = error.problem_mark.line + 1 if error.problem_mark else 1
    elif isinstance(error, yaml.reader.ReaderError):
        problem = f"the character U+{int(error.character):04X} may not stand in it"
        line = text.count("\n", 0, error.position) + 1
    origin = Origin(source, None if option else line)
    return RecipeError(str(Fault(origin, (), f"can't be read as YAML: {problem}")))
