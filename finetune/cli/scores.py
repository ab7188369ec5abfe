"""Scores on the screen: tables that read well at 80 columns."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.evaluation.names import SCORE_NAMES
from finetune.text import listed, plural, printable

if TYPE_CHECKING:
    from finetune.deploy.result import Run

_MOST_CLASSES = 30


def show_run(run: Run) -> None:
    """The scores, where they lie, and what to do next."""
    console = Console(highlight=False)
    show_scores(console, run.metrics)
    kept = run.phases["kept"]
    if len(run.phases["phases"]) > 1:
        console.print(f"Kept: the weights of phase {kept}.", markup=False)
    path = shlex.quote(str(run.path))
    console.print(f"Run directory: {path}", markup=False, soft_wrap=True)
    if run.directory.report.is_file():
        report = shlex.quote(str(run.directory.report))
        console.print(f"Report: {report}", markup=False, soft_wrap=True)
    console.print("Next:", markup=False)
    for command in (
        f"finetune predict {path} YOUR_PICTURES --out predictions.csv",
        f"finetune evaluate {path} MORE_LABELLED_PICTURES --out evaluation",
        f"finetune recipes show {printable(_recipe_name(run))}",
    ):
        console.print(f"  {command}", markup=False, soft_wrap=True)


def show_scores(console: Console, metrics: Mapping[str, Any]) -> None:
    """The table of scores, then a line for each class, the weakest first."""
    kind = "labelled" if metrics["split"] == "all" else metrics["split"]
    images = plural(metrics["n"], f"{kind} image")
    _title(console, f"Scores on {images}, {len(metrics['classes'])} classes")
    console.print(_score_table(metrics))
    if leaked := metrics.get("leaked"):
        console.print(Text(_leak_line(leaked), style="yellow"), soft_wrap=True)
    for line in _cautions(metrics):
        console.print(line, markup=False)
    hidden = len(metrics["per_class"]) - _MOST_CLASSES
    note = f"; the weakest {_MOST_CLASSES}, the others are in metrics.json" if hidden > 0 else ""
    _title(console, f"Classes, the weakest first{note}")
    console.print(_class_table(metrics))


def _leak_line(leaked: Mapping[str, Any]) -> str:
    value, interval = _figures(leaked["accuracy_without"])
    copies = plural(leaked["n"], "image shows", "images show")
    return f"{copies} what stands in an earlier part too; accuracy without: {value} ({interval})"


def _score_table(metrics: Mapping[str, Any]) -> Table:
    percent = f"{metrics['confidence']:.0%} interval"
    table = _table()
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column(percent, justify="right")
    for key, name in SCORE_NAMES.items():
        doubt = " (?)" if key in metrics["unsure"] else ""
        table.add_row(name + doubt, *_figures(metrics[key]))
    table.add_section()
    table.add_row("accuracy of guessing", *_figures(metrics["baseline"]["majority"]))
    return table


def _cautions(metrics: Mapping[str, Any]) -> list[str]:
    """Which scores can't be relied on, a line for each reason; and what abstaining comes to."""
    names = {**SCORE_NAMES, "top_k": "top-k accuracy", "class_scores": "the classes' own scores"}
    reasons: dict[str, list[str]] = {}
    for key, reason in metrics["unsure"].items():
        reasons.setdefault(reason, []).append(names[key])
    lines = [f"Don't rely on {listed(which)}: {reason}." for reason, which in reasons.items()]
    if abstention := metrics.get("abstention"):
        answered, right = (abstention[key]["value"] for key in ("answered", "accuracy"))
        of_them = f"; {right:.1%} of the answers are right" if right is not None else ""
        lines.append(f"With --abstain, {answered:.1%} of these images are answered{of_them}.")
    return lines


def _class_table(metrics: Mapping[str, Any]) -> Table:
    per_class = sorted(
        metrics["per_class"].items(), key=lambda pair: (pair[1]["f1"]["value"] or 0.0, pair[0])
    )
    table = _table()
    table.add_column("class", overflow="ellipsis", max_width=28, no_wrap=True)
    for name in ("precision", "recall", "(interval)", "F1", "images"):
        table.add_column(name, justify="right")
    for name, row in per_class[:_MOST_CLASSES]:
        recall, interval = _figures(row["recall"])
        table.add_row(
            Text(printable(name)),
            _figures(row["precision"])[0],
            recall,
            interval,
            _figures(row["f1"])[0],
            str(row["support"]),
        )
    return table


def _title(console: Console, text: str) -> None:
    """Above a table, not in it: a narrow table would break its title into lines."""
    console.print(Text(text, style="bold"), soft_wrap=True)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def _figures(score: Mapping[str, float | None]) -> tuple[str, str]:
    if score["value"] is None:
        return "–", "–"
    return f"{score['value']:.3f}", f"{score['low']:.3f} – {score['high']:.3f}"


def _recipe_name(run: Run) -> str:
    from finetune.recipe.catalogue import catalogue
    from finetune.recipe.loading import load_recipe

    name = load_recipe(run.directory.recipe).name
    known = {entry.name for entry in catalogue()}
    return name if name in known else shlex.quote(str(run.directory.recipe))
