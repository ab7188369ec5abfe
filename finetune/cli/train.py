"""``finetune train``."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from finetune.cli.scores import show_run
from finetune.console import Console

if TYPE_CHECKING:
    from finetune.deploy.result import Run


def start_run(
    data: str,
    recipe: str,
    overrides: Sequence[str],
    weights: str | None,
    out: Path | None,
    *,
    dry_run: bool = False,
) -> Run | None:
    """Train, or with ``dry_run`` only show what would be done."""
    from finetune import api
    from finetune.recipe.undecided import known
    from finetune.run import check_run_place, default_run_path, place_for

    reporter = Console()
    name = known(recipe, overrides).name
    if dry_run:
        place = out or default_run_path(Path(data), name, Path.cwd())
        check_run_place(place, Path(data))
        api.plan(data, recipe, overrides=overrides, weights=weights, reporter=reporter, show=True)
        reporter.say(f"Nothing was trained or written. Without --dry-run it goes to {place}.")
        return None
    with place_for(out, Path(data), name, Path.cwd()) as place:
        return _finish(
            shlex.quote(str(place)),
            place,
            lambda: api.train(
                data, recipe, overrides=overrides, weights=weights, out=place, reporter=reporter
            ),
        )


def resume_run(run: Path, data: str | None) -> None:
    """Go on with an interrupted run."""
    from finetune import api

    again = shlex.join([str(run), data] if data else [str(run)])
    _finish(again, run, lambda: api.resume(run, data, reporter=Console()))


def _finish(again: str, place: Path, work: Callable[[], Run]) -> Run:
    """Do the work and show its scores; ``again`` is what resumes it after an interruption."""
    with stoppable(lambda: _say_how_to_go_on(again, place)):
        run = work()
    show_run(run)
    return run


@contextmanager
def stoppable(tell: Callable[[], None]) -> Iterator[None]:
    """A while in which Ctrl-C and SIGTERM end the program with ``tell`` and a status of their own.

    Raises:
        Exit: 130 or 143.
    """
    from finetune.training.stopping import Terminated

    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        tell()
        status = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
        raise typer.Exit(128 + status) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    from finetune.training.stopping import Terminated

    raise Terminated


def _say_how_to_go_on(again: str, place: Path) -> None:
    from finetune.run import is_run

    if is_run(place):
        Console().say(
            f"Stopped. What was done so far is kept; go on with:\n  finetune train --resume {again}"
        )
