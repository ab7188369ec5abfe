"""A phase's learning rate, by a test of a hundred steps."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from finetune.api.planning import PathName, setting_of
from finetune.api.suggesting import plan
from finetune.console import Reporter, automatic
from finetune.errors import RunError
from finetune.evaluation.rate_curve import rising_rates
from finetune.experiments.found_rate import FoundRate
from finetune.experiments.range_test import position_of, range_test
from finetune.memory import keep_freed_memory
from finetune.recipe.loading import resolve
from finetune.recipe.schema import Recipe
from finetune.recipe.undecided import is_undecided
from finetune.run import check_outside, check_writable

_FORMS = (".html", ".csv")


def lr_find(
    data: PathName,
    recipe: PathName | Recipe = "lp_ft",
    *,
    phase: str | None = None,
    overrides: Sequence[str] = (),
    weights: PathName | None = None,
    out: PathName | None = None,
    reporter: Reporter | None = None,
) -> FoundRate:
    """Try ever higher learning rates in the first steps of a phase, and suggest one.

    The learning rate range test of Smith 2017: the phase's network, images and optimiser, and a
    rate that rises from 1e-7 to 10 in 100 steps, or until training runs away. Phases before it are
    run first, as the recipe says; what frozen stages give is computed once. It trains copies, and
    writes no run.

    Args:
        data: As for `train`.
        recipe: As for `train`.
        phase: The phase's name; the first one that has a rate by default.
        overrides: As for `train`.
        weights: As for `train`.
        out: A page (``.html``) or a table (``.csv``) to write.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        RecipeError: The recipe has no such phase with a rate.
        RunError: ``out`` is neither, or can't be written.
        FinetuneError: What `train` raises.
    """
    keep_freed_memory()
    reporter = reporter or automatic()
    if out is not None:
        _check_out(Path(out), Path(data))
    if not is_undecided(recipe):  # a wrong name must not cost a look at every image
        position_of(resolve(recipe, overrides), phase)
    planned = plan(data, recipe, overrides=overrides, weights=weights, reporter=reporter)
    position = position_of(planned.recipe, phase)
    with tempfile.TemporaryDirectory() as folder:
        setting = setting_of(planned, None, reporter)
        found = range_test(setting, position, rising_rates(), Path(folder))
    if out is not None:
        found.write(Path(out))
    return found


def _check_out(out: Path, data: Path) -> None:
    if out.suffix.lower() not in _FORMS or out.is_dir():
        raise RunError("is no page and no table", where=str(out), mend="Name it .html or .csv.")
    check_outside(out, data)
    check_writable(out)
