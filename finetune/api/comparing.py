"""Runs, or cross-validations, against one another, on the same images."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from finetune.api.planning import PathName
from finetune.deploy.result import Run
from finetune.errors import RunError
from finetune.experiments.compared import ComparedRuns
from finetune.experiments.comparing import compare_folders
from finetune.experiments.directory import ExperimentDirectory
from finetune.experiments.result import CrossValidation
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import EvaluateOptions
from finetune.run import RunDirectory, check_run_place, is_run


def compare(*runs: PathName | Run | CrossValidation, out: PathName | None = None) -> ComparedRuns:
    """Compare runs image by image, on the images that all of them were scored on.

    Differences have paired intervals, by a bootstrap over images, or over groups where there are
    any; McNemar's exact test says whether chance would explain which of two runs is right more
    often, corrected for the number of pairs where there are more than two runs (Holm). Coverage
    and resamplings are those of the first run's recipe. The model is not needed, only
    ``predictions.csv``; its probabilities have six decimals, and those below 5e-7 count as that.

    Cross-validations are compared over their trainings: the differences are means over folds, with
    the corrected resampled t interval (Nadeau and Bengio 2003), never narrower than that of the
    images.

    Args:
        runs: Two or more: run directories, `Run`, or folders that `evaluate` wrote; or directories
            that `cv` made, or what it returns, with the same folds.
        out: A folder to write ``comparison.json`` and ``differences.csv`` to, besides.

    Raises:
        RunError: The runs were scored on other images, or in other folds; how they differ is told.
            Or one has no predictions, a cross-validation stands against a run, or ``out`` is not
            empty.
    """
    folders = [Path(each) if isinstance(each, str | PathLike) else each.path for each in runs]
    if len(folders) < 2:
        raise RunError("a comparison wants two runs at least")
    if out is not None:
        check_run_place(Path(out), folders[0])
    options, seed = _options(folders[0])
    compared = compare_folders(
        folders, confidence=options.confidence, resamples=options.bootstrap, seed=seed
    )
    if out is not None:
        compared.write(Path(out))
    return compared


def _options(folder: Path) -> tuple[EvaluateOptions, int]:
    """How the first one scores, and its seed; a folder of `evaluate`: the defaults."""
    directory = ExperimentDirectory(folder)
    if not is_run(folder) and not directory.begun:
        return EvaluateOptions(), 1
    recipe = load_recipe(directory.recipe if directory.begun else RunDirectory(folder).recipe)
    return recipe.evaluate, recipe.seed
