"""``finetune cv``, ``compare``, ``learning-curve`` and ``lr-find``: arguments in, tables out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer
from rich.console import Console as Screen

from finetune.cli.scores import show_scores
from finetune.cli.train import stoppable
from finetune.console import Console
from finetune.text import plural

if TYPE_CHECKING:
    from finetune.experiments.compared import ComparedRuns

_SHOWN = 8


def cross_validate(
    data: str,
    recipe: str,
    folds: int,
    repeats: int,
    overrides: Sequence[str],
    weights: str | None,
    out: Path | None,
    *,
    final: bool,
) -> None:
    """Cross-validate and show the scores."""
    from finetune import api
    from finetune.recipe.undecided import known
    from finetune.run import place_for

    name = f"{known(recipe, overrides).name}-cv"
    with place_for(out, Path(data), name, Path.cwd()) as place:
        with stoppable(lambda: _say_how_to_go_on(place)):
            done = api.cv(
                data,
                recipe,
                folds=folds,
                repeats=repeats,
                overrides=overrides,
                weights=weights,
                out=place,
                final=final,
                reporter=Console(),
            )
        screen = Screen(highlight=False)
        show_scores(screen, done.scores)
        _print(screen, f"Written: {shlex.quote(str(done.path))}")
        if done.final:
            _print(screen, f"The classifier: {shlex.quote(str(done.final))}")


def trace_curve(
    data: str,
    sizes: str,
    repeats: int,
    recipe: str,
    overrides: Sequence[str],
    weights: str | None,
    out: Path | None,
) -> None:
    """Trace a learning curve and show it."""
    from finetune import api
    from finetune.experiments.learning_curve import HEADER

    curve = api.learning_curve(
        data,
        recipe,
        sizes=_sizes(sizes),
        repeats=repeats,
        overrides=overrides,
        weights=weights,
        out=out,
        reporter=Console(),
    )
    reporter = Console(Screen(highlight=False))
    reporter.table(f"Judged on {plural(curve.judged, 'held-out image')}", HEADER, curve.rows())
    reporter.say(curve.sentence())
    if out is not None:
        reporter.say(f"Written: {out}")


def _sizes(text: str) -> Literal["auto"] | list[int]:
    if text == "auto":
        return "auto"
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not auto and not numbers with commas between, as 5,10,20"
        ) from None


def find_rate(
    data: str,
    recipe: str,
    phase: str | None,
    overrides: Sequence[str],
    weights: str | None,
    out: Path | None,
) -> None:
    """Find a phase's rate and show the curve; plain characters, in a terminal and in a log."""
    from finetune import api

    found = api.lr_find(
        data,
        recipe,
        phase=phase,
        overrides=overrides,
        weights=weights,
        out=out,
        reporter=Console(),
    )
    screen = Screen(highlight=False)
    for line in [*found.text(), "", *found.sentences()]:
        _print(screen, line)
    if found.option:
        _print(screen, f"To train by it: {found.option}")
    if out is not None:
        _print(screen, f"Written: {shlex.quote(str(out))}")


def compare_runs(runs: Sequence[Path], out: Path | None) -> None:
    """Compare runs and show how they differ."""
    from finetune import api

    done = api.compare(*runs, out=out)
    reporter = Console(Screen(highlight=False))
    images = plural(len(done.paths), f"{done.split} image".removeprefix("all "))
    header = ["run", "accuracy", "log loss", "parameters", "seconds"]
    rows = [
        [name, *(_figure(s[k]) for k in ("accuracy", "log_loss")),
         *(_count(s[k]) for k in ("parameters", "seconds"))]
        for name, s in zip(done.names, done.scores, strict=True)
    ]  # fmt: skip
    reporter.table(f"On the same {images}", header, rows)
    for row in done.rows():
        _show_pair(reporter, row, done)
    _show_classes(reporter, done)
    _show_differing(reporter, done)
    for note in done.notes():
        reporter.say(note)
    if out is not None:
        reporter.say(f"Written: {out}")


def _show_pair(reporter: Console, row: Sequence[str], done: ComparedRuns) -> None:
    """One under another: names of runs are long."""
    pair, accuracy, log_loss, macro_f1, alone, p_value = row
    lines = [
        ["accuracy", accuracy],
        ["log loss", log_loss],
        ["macro F1", macro_f1],
        ["right alone", alone],
        [done.test, p_value],
    ]
    reporter.table(pair, ["difference", f"value ({done.confidence:.0%} interval)"], lines)


def _show_classes(reporter: Console, done: ComparedRuns) -> None:
    """The classes in which the first two differ most."""
    counts = zip(done.classes, done.pairs[0].difference.per_class, strict=True)
    differing = [(name, c) for name, c in counts if c.only_first or c.only_second]
    if not differing:
        return
    differing.sort(key=lambda pair: -abs(pair[1].only_first - pair[1].only_second))
    rows = [
        [name, str(c.only_first), str(c.only_second), str(c.images)]
        for name, c in differing[:_SHOWN]
    ]
    title = f"Classes in which {done.names[0]} and {done.names[1]} differ"
    reporter.table(title, ["class", "first alone", "second alone", "images"], rows)


def _show_differing(reporter: Console, done: ComparedRuns) -> None:
    rows = list(done.differing())
    if not rows:
        reporter.say("They say the same of every image.")
        return
    title = f"{plural(len(rows), 'image')} on which they differ"
    more = f"; the first {_SHOWN}" if len(rows) > _SHOWN else ""
    header = ["image", "label", *(f"run {number}" for number in range(1, len(done.names) + 1))]
    reporter.table(title + more, header, rows[:_SHOWN])


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _say_how_to_go_on(place: Path) -> None:
    from finetune.experiments.directory import ExperimentDirectory

    if ExperimentDirectory(place).begun:
        Console().say(
            "Stopped. What was done so far is kept; go on by the same command with\n"
            f"  --out {shlex.quote(str(place))}"
        )


def _print(screen: Screen, text: str) -> None:
    screen.print(text, markup=False, soft_wrap=True)
