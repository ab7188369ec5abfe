"""``finetune cv``, ``compare`` and ``learning-curve``: arguments in, tables out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console as Screen

from finetune.cli.scores import show_scores
from finetune.cli.train import stoppable
from finetune.console import Console


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
    from finetune.recipe.loading import resolve
    from finetune.run import place_for

    name = f"{resolve(recipe, overrides).name}-cv"
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


def _say_how_to_go_on(place: Path) -> None:
    from finetune.experiments.directory import ExperimentDirectory

    if ExperimentDirectory(place).begun:
        Console().say(
            "Stopped. What was done so far is kept; go on by the same command with\n"
            f"  --out {shlex.quote(str(place))}"
        )


def _print(screen: Screen, text: str) -> None:
    screen.print(text, markup=False, soft_wrap=True)
