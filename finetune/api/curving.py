"""The learning curve: what more images would buy."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from finetune.api.planning import PathName, setting_of
from finetune.api.suggesting import plan
from finetune.console import Reporter, automatic
from finetune.data.manifest import Item, Manifest
from finetune.errors import DataError, RunError
from finetune.experiments.learning_curve import LearningCurve
from finetune.experiments.subsets import automatic_sizes, checked_sizes
from finetune.experiments.tracing import CurveTracing
from finetune.experiments.trial import with_images
from finetune.memory import keep_freed_memory
from finetune.recipe.schema import Recipe
from finetune.run import check_run_place
from finetune.text import duration
from finetune.training.binding import check_validation
from finetune.training.estimate import estimate
from finetune.training.preview import show_stages


def learning_curve(
    data: PathName,
    recipe: PathName | Recipe = "linear_probe",
    *,
    sizes: Literal["auto"] | Sequence[int] = "auto",
    repeats: int = 5,
    overrides: Sequence[str] = (),
    weights: PathName | None = None,
    out: PathName | None = None,
    reporter: Reporter | None = None,
) -> LearningCurve:
    """Train on ever more images of each class, and tell what more of them would buy.

    All trainings are judged on the same held-out images: DATA's test part, or ``data.test`` of the
    images. For each repeat the others are put into an order of their own, and each size takes the
    first of each class, so that smaller parts lie in larger ones. Each training makes its own
    choices, among its own images.

    Args:
        data: As for `train`.
        recipe: As for `train`; one that only solves a head passes each image through the network
            once, and the whole curve takes minutes. ``"auto"`` is chosen once, by the largest size.
        sizes: Images of each class; ``auto``: six, from 5 to all there are.
        repeats: How many orders.
        overrides: As for `train`.
        weights: As for `train`.
        out: A folder to write ``learning_curve.csv`` and ``learning_curve.json`` to.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        DataError: There is no test part, or no curve goes through the sizes.
        RunError: ``out`` is not empty.
        FinetuneError: What `train` raises.
    """
    keep_freed_memory()
    reporter = reporter or automatic()
    if out is not None:
        check_run_place(Path(out), Path(data))
    if repeats < 1:
        raise RunError("a learning curve wants one repeat at least")
    planned = plan(data, recipe, overrides=overrides, weights=weights, reporter=reporter)
    pool, judged = _divided(planned.manifest)
    chosen = automatic_sizes(pool) if sizes == "auto" else checked_sizes(sizes, pool)
    # What trainings keep to be gone on with is not worth keeping here: most take seconds.
    with tempfile.TemporaryDirectory() as folder:
        setting = setting_of(planned, None, reporter)
        tracing = CurveTracing(setting, pool, judged, tuple(chosen), repeats, Path(folder))
        _check_and_show(tracing)
        curve = tracing.run()
    if out is not None:
        curve.write(Path(out))
    return curve


def _divided(manifest: Manifest) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    judged = manifest.part("test")
    if not judged:
        raise DataError(
            "there is no test part to judge the curve on",
            where=str(manifest.root),
            mend="Give data.test a share above 0.",
        )
    pool = (*manifest.part("train"), *manifest.part("val"))
    return tuple(replace(i, split="train") for i in sorted(pool, key=lambda i: i.path)), judged


def _check_and_show(tracing: CurveTracing) -> None:
    """What trains, and how long all of it takes: as one training on all images, for their share."""
    trials = [trial for _, _, trial in tracing.trials()]
    setting = tracing.setting
    check_validation(setting.recipe, min(trial.validation for trial in trials))
    whole = max(trials, key=lambda trial: len(trial.learnt))
    largest = with_images(setting, [*whole.learnt, *whole.judged])
    show_stages(largest)
    one = estimate(largest)
    share = sum(len(trial.learnt) for trial in trials) / len(whole.learnt)
    seconds = one.features + one.scoring + share * (sum(one.phases) + one.judging + one.racing)
    setting.reporter.say(
        f"About {duration(seconds)} on {setting.device}: {len(trials)} trainings on "
        f"{', '.join(map(str, tracing.sizes))} images of each class."
    )
