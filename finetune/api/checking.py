"""A look at DATA before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finetune.api.planning import PathName, Plan, absolute, load, setting_of
from finetune.console import Reporter, automatic
from finetune.data.fixes import write_fixes
from finetune.data.manifest import Manifest
from finetune.data.reading import check_exists
from finetune.errors import RunError
from finetune.files import write_json, write_text
from finetune.inspection.checking import check_data, with_lookalikes, with_suspects
from finetune.inspection.findings import Findings
from finetune.model.backbone import input_spec
from finetune.model.pretrained import WeightsChoice
from finetune.model.weights import choose_weights, fetch_weights
from finetune.recipe.overrides import sets
from finetune.recipe.schema import Recipe
from finetune.recipe.undecided import known
from finetune.report.check_page import check_page
from finetune.run import check_run_place
from finetune.training.probing import probed

FIXES, RECORD, PAGE = "fixes.csv", "check.json", "check.html"
"""What a check writes to its folder."""


def check(
    data: PathName,
    *,
    out: PathName | None = None,
    recipe: PathName | Recipe = "lp_ft",
    overrides: Sequence[str] = (),
    weights: PathName | None = None,
    reporter: Reporter | None = None,
) -> Findings:
    """Look at a data set whole: unreadable and odd files, copies, leaks, label conflicts, advice.

    Args:
        data: In the forms that `train` takes. Nothing in it is written to.
        out: A folder to make for ``fixes.csv``, ``check.json`` and ``check.html``; None: nothing
            is written.
        recipe: Says how DATA would be divided.
        overrides: ``KEY=VALUE`` each, as after ``--set``.
        weights: A weights file: the network's features then find more pictures that are alike,
            which are told and never used to divide, and labels that are doubtful.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        RunError: ``out`` is not empty, or lies in DATA.
        FinetuneError: DATA or the recipe can't be read.
    """
    reporter = reporter or automatic()
    chosen = known(recipe, overrides)
    source = Path(data)
    check_exists(source)
    choice = _network(chosen, overrides, weights)
    with _place(None if out is None else Path(out), source) as place:
        findings = check_data(source, chosen.data, chosen.seed, reporter)
        if choice is not None:
            findings = _looked_at_by(choice, findings, chosen, reporter)
        if place is not None:
            _write(place, findings, chosen.data.max_pixels, reporter)
    return findings


@contextmanager
def _place(out: Path | None, data: Path) -> Iterator[Path | None]:
    """The folder to write to, made before the work that it is to hold; it goes again if empty."""
    if out is None:
        yield None
        return
    check_run_place(out, data)
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"can't be made: {error.strerror}", where=str(out)) from error
    try:
        yield out
    finally:
        if made:
            with suppress(OSError):  # not empty
                out.rmdir()


def _network(
    recipe: Recipe, overrides: Sequence[str], weights: PathName | None
) -> WeightsChoice | None:
    """What is to look at the images too; None where no weights are given."""
    asked = absolute(weights)
    if asked in (None, "none"):
        return None
    override = recipe.model.backbone if sets(overrides, "model.backbone") else None
    choice = choose_weights(recipe.model, asked, override)
    fetch_weights(choice)
    return choice


def _looked_at_by(
    choice: WeightsChoice, findings: Findings, recipe: Recipe, reporter: Reporter
) -> Findings:
    """``findings`` with what the features of a pretrained network add."""
    manifest = Manifest.of(findings.root, findings.divided)
    loaded = load(choice, max(2, len(manifest.classes)), recipe)
    planned = Plan(recipe, manifest, loaded, input_spec(loaded, recipe.input), None)
    places = [place for place, item in enumerate(findings.items) if item.status == "ok"]
    items = [findings.items[place] for place in places]
    features = setting_of(planned, None, reporter).pristine_features(items)
    return _probed(with_lookalikes(findings, places, features), places, features, planned, reporter)


def _probed(
    findings: Findings,
    places: Sequence[int],
    features: npt.NDArray[np.float32],
    planned: Plan,
    reporter: Reporter,
) -> Findings:
    """``findings`` with the labels that a linear probe doubts in images that it has not seen."""
    items = [findings.divided[place] for place in places]
    labels, classes = planned.manifest.labels(items), planned.manifest.classes
    if len(np.unique(labels)) < 2:
        return replace(findings, suspects=[])
    with reporter.task("doubtful labels", 1, "probe") as task:
        groups = [item.group for item in items]
        probabilities = probed(features, labels, len(classes), groups, planned.recipe.seed)
        task.advance()
    return with_suspects(findings, places, probabilities, classes)


def _write(folder: Path, findings: Findings, max_pixels: int, reporter: Reporter) -> None:
    page = check_page(findings, max_pixels, reporter)
    write_fixes(folder / FIXES, findings.fixes)
    write_json(folder / RECORD, findings.to_dict())
    write_text(folder / PAGE, page)
