"""``finetune check``: a summary that fits a screen."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console as Screen
from rich.table import Table
from rich.text import Text

from finetune.console import Console
from finetune.text import plural, printable

if TYPE_CHECKING:
    from finetune.inspection.findings import Findings

_MOST_WARNINGS = 8


def check_folder(
    data: str,
    recipe: str,
    overrides: Sequence[str],
    weights: str | None,
    out: Path | None,
) -> None:
    """Look at DATA, show what was found, and write it to ``out``."""
    from finetune import api

    findings = api.check(
        data, out=out, recipe=recipe, overrides=overrides, weights=weights, reporter=Console()
    )
    screen = Screen(highlight=False)
    _show(screen, findings)
    if out is None:
        again = f"finetune check {shlex.quote(data)} --out DIR"
        words = f"For a page with the pictures, and fixes to edit: {again}"
    else:
        place = shlex.quote(str(out))
        words = f"Written: {place}/check.html, fixes.csv, check.json"
    screen.print(words, markup=False, soft_wrap=True)


def _show(screen: Screen, findings: Findings) -> None:
    counts = findings.counts
    parts = Counter[str]()
    for row in counts.values():
        parts.update(row)
    total = ", ".join(f"{count:,} {part}" for part, count in parts.items())
    head = f"{findings.name}: {plural(parts.total(), 'image')} in {len(counts):,} classes ({total})"
    screen.print(Text(printable(head), style="bold"), soft_wrap=True)
    for line in findings.notes:
        screen.print(Text(f"note: {printable(line)}"), soft_wrap=True)
    screen.print(_found(findings))
    told = findings.sentences()
    for line in told[:_MOST_WARNINGS]:
        screen.print(Text.assemble(("warning: ", "bold yellow"), printable(line)), soft_wrap=True)
    if len(told) > _MOST_WARNINGS:
        screen.print(f"and {plural(len(told) - _MOST_WARNINGS, 'more warning')}")
    for line in findings.advice:
        screen.print(Text.assemble(("advice: ", "bold green"), printable(line)), soft_wrap=True)


def _found(findings: Findings) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("found", no_wrap=True, min_width=30)
    table.add_column("count", justify="right", no_wrap=True, min_width=5)
    table.add_column("for instance", overflow="ellipsis", no_wrap=True, ratio=1)
    for what, examples in _rows(findings):
        table.add_row(what, f"{len(examples):,}", Text(printable(examples[0]) if examples else "–"))
    return table


def _rows(findings: Findings) -> Iterator[tuple[str, list[str]]]:
    items = findings.items
    yield "files that can't be read", [f"{item.path}: {item.reason}" for item in findings.bad]
    yield (
        "images that leak between parts",
        [f"{items[k.second].path} = {items[k.first].path}" for k in findings.leaks],
    )
    for kind, what in (("exact", "sets of the same file"), ("near", "sets of nearly the same")):
        sets = [each.places for each in findings.copies if each.kind == kind]
        yield what, [" = ".join(items[place].path for place in places[:2]) for places in sets]
    yield "odd pictures", [f"{each.path}: {each.message}" for each in findings.problems]
    if findings.lookalikes is not None:
        pairs = findings.lookalikes
        yield (
            "pairs alike to the network",
            [f"{items[p.first].path} ~ {items[p.second].path}" for p in pairs],
        )
    if findings.suspects is not None:
        yield (
            "labels that are doubtful",
            [f"{items[each.place].path}: {each.suggested}?" for each in findings.suspects],
        )
