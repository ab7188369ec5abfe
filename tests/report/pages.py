"""Findings made by hand, and pages taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from finetune.console import Silent
from finetune.data.manifest import Item
from finetune.inspection.findings import Findings

EMPTY = frozenset({"meta", "img", "br", "wbr"})
DRAWN = frozenset({"rect", "line", "path", "circle"})


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self._said = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in EMPTY:
            self._open.append(tag)
        if tag == "br":
            self._said += " "
        if tag in ("h1", "h2"):
            self.headings.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self._said += data
        if {"h1", "h2"} & set(self._open):
            self.headings[-1] += data

    @property
    def text(self) -> str:
        """All of it, in one line."""
        return " ".join(self._said.split())

    def values(self, tag: str, attribute: str) -> list[str]:
        """Of all elements of a kind that have the attribute."""
        return [a[attribute] or "" for name, a in self.elements if name == tag and attribute in a]

    @property
    def anchors(self) -> list[str]:
        """The sections that can be linked to, in their order."""
        return self.values("section", "id")


def make_findings(items: Sequence[Item], root: Path = Path("nowhere"), **found: Any) -> Findings:
    """Findings that found nothing but ``found``."""
    nothing: dict[str, Any] = {
        "name": "photos",
        "divided": items,
        "looks": {},
        "copies": [],
        "leaks": [],
        "problems": [],
        "metadata": [],
        "lookalikes": None,
        "notes": [],
        "suspects": None,
        "warnings": [],
        "advice": [],
        "fixes": [],
    }
    return Findings(root=root, items=items, **{**nothing, **found})


def make_items(count: int, classes: int = 2, part: str = "train") -> list[Item]:
    """Files ``c0/0.png``, ``c1/1.png``, ..., whose classes take turns."""
    labels = [f"c{place % classes}" for place in range(count)]
    return [Item(f"{label}/{n}.png", label, part, digest=str(n)) for n, label in enumerate(labels)]


@dataclass
class Counter(Silent):
    """A reporter that counts how far a task came."""

    advanced: int = 0
    total: int = 0

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Counter]:
        self.total = total
        yield self

    def rename(self, title: str) -> None:
        pass

    def advance(self, count: int = 1, **scores: float) -> None:
        self.advanced += count
