"""``finetune train``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
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
    from finetune.recipe.loading import resolve
    from finetune.run import check_run_place, default_run_path

    reporter = Console()
    place = out or default_run_path(Path(data), resolve(recipe, overrides).name, Path.cwd())
    if dry_run:
        check_run_place(place, Path(data))
        api.plan(data, recipe, overrides=overrides, weights=weights, reporter=reporter, show=True)
        reporter.say(f"Nothing was trained or written. Without --dry-run it goes to {place}.")
        return None
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
    try:
        run = work()
    except KeyboardInterrupt:
        from finetune.run import is_run

        if is_run(place):
            Console().say(
                f"Stopped. The last finished epoch is kept; go on with:\n"
                f"  finetune train --resume {again}"
            )
        raise typer.Exit(130) from None
    show_run(run)
    return run
