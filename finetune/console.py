"""How long work tells what it does.

Packages below the command line never print: they speak to a `Reporter`. `Silent` drops
everything (the default of the Python API away from notebooks and terminals), `Console` draws
progress bars on a terminal and writes plain lines where there is none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from finetune.text import duration, printable, rate

if TYPE_CHECKING:
    import rich.console
    import rich.progress


class Task(Protocol):
    """A piece of work under way."""

    def advance(self, count: int = 1, **scores: float) -> None:
        """``count`` more units are done; ``scores`` are shown beside the bar."""

    def rename(self, title: str) -> None:
        """Show another title from now on."""


class Reporter(Protocol):
    """What long work speaks to. Names from the data may be passed as they are."""

    def say(self, message: str) -> None:
        """Tell something that a person wants to know."""

    def warn(self, message: str) -> None:
        """Tell something that a person should look at."""

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table; columns whose cells are all numbers stand to the right."""

    def task(
        self, title: str, total: int, unit: str, done: int = 0
    ) -> AbstractContextManager[Task]:
        """Show how far some work of ``total`` units (``"images"``, ...) is.

        ``done`` of them were done before, in a time that nobody knows.
        """


class _SilentTask:
    def advance(self, count: int = 1, **scores: float) -> None:
        pass

    def rename(self, title: str) -> None:
        pass


class Silent:
    """A reporter that says nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""

    def warn(self, message: str) -> None:
        """Say nothing."""

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show nothing."""

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Task]:
        """A task that shows nothing."""
        yield _SilentTask()


class Console:
    """A reporter on a rich console: bars on a terminal, plain lines elsewhere."""

    def __init__(self, console: rich.console.Console | None = None) -> None:
        from rich.console import Console as RichConsole

        self.console = console or RichConsole(stderr=True, highlight=False)

    def say(self, message: str) -> None:
        """Print ``message``."""
        self.console.print(_safe(message), markup=False, highlight=False, soft_wrap=True)

    def warn(self, message: str) -> None:
        """Print ``message`` as a warning."""
        from rich.text import Text

        text = Text.assemble(("warning: ", "bold yellow"), _safe(message))
        self.console.print(text, soft_wrap=True)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table of at most 80 columns where the terminal is that narrow."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column, name in enumerate(header):
            numeric = bool(rows) and all(_is_numeric(row[column]) for row in rows)
            table.add_column(Text(_safe(name)), justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(Text(_safe(cell)) for cell in row))
        # Not the table's own title: that is broken into lines where the table is narrow.
        self.console.print(Text(_safe(title), style="bold"), soft_wrap=True)
        self.console.print(table)

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Task]:
        """A progress bar with its rate and the time left; a line every 30 s off a terminal."""
        if not self.console.is_terminal:
            plain = _PlainTask(self, title, total, unit, done, done)
            yield plain
            plain.end()
            return
        with _progress(self.console, unit) as progress:
            task = progress.add_task(_safe(title), total=total, completed=done, scores="")
            yield _BarTask(progress, task)


def automatic() -> Reporter:
    """A `Console` in a notebook or on a terminal, `Silent` elsewhere."""
    in_notebook = "ipykernel" in sys.modules
    return Console() if in_notebook or sys.stderr.isatty() else Silent()


_PLAIN_SECONDS = 30.0
"""Time between two lines about the same work where there is no terminal."""


@dataclass
class _PlainTask:
    reporter: Console
    title: str
    total: int
    unit: str
    begun: int
    done: int
    scores: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def advance(self, count: int = 1, **scores: float) -> None:
        self.done += count
        self.scores |= scores
        now = time.monotonic()
        if now - self.told >= _PLAIN_SECONDS and self.done < self.total:
            self.told = now
            left = (self.total - self.done) * (now - self.started) / max(self.done - self.begun, 1)
            self._tell(now, f"{duration(left)} left")

    def rename(self, title: str) -> None:
        self.title = title

    def end(self) -> None:
        now = time.monotonic()
        self._tell(now, f"took {duration(now - self.started)}")

    def _tell(self, now: float, time_: str) -> None:
        speed = rate((self.done - self.begun) / max(now - self.started, 1e-6))
        self.reporter.say(
            f"{self.title}: {self.done:,}/{self.total:,} {self.unit}, {speed} a second, {time_}"
            f"{_scores(self.scores)}"
        )


@dataclass
class _BarTask:
    progress: rich.progress.Progress
    task: rich.progress.TaskID

    def advance(self, count: int = 1, **scores: float) -> None:
        if scores:
            self.progress.update(self.task, scores=_scores(scores).lstrip(", "))
        self.progress.advance(self.task, count)

    def rename(self, title: str) -> None:
        self.progress.update(self.task, description=_safe(title))


def _progress(console: rich.console.Console, unit: str) -> rich.progress.Progress:
    from rich import progress
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{rate(speed)} {unit}/s" if speed else "")

    class TwoLines(progress.Progress):
        """The scores have a line of their own: beside the bar 80 columns are not enough."""

        def get_renderables(self) -> Iterator[rich.console.RenderableType]:
            yield self.make_tasks_table(self.tasks)
            for task in self.tasks:
                if task.fields["scores"]:
                    yield Text(task.fields["scores"], overflow="ellipsis", no_wrap=True)

    return TwoLines(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=16),
        progress.MofNCompleteColumn(),
        Rate(),
        progress.TimeRemainingColumn(compact=True),
        console=console,
        transient=False,
    )


def _scores(scores: Mapping[str, float]) -> str:
    return "".join(f", {name.replace('_', ' ')} {value:.3f}" for name, value in scores.items())


def _safe(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _is_numeric(cell: str) -> bool:
    return cell == "" or cell.strip()[:1].isdigit() or cell.strip()[:1] in "-–"
