"""Train, and go on with a training that was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from finetune.api.finishing import finish, report_on
from finetune.api.planning import PathName, Plan, load, setting_of
from finetune.api.suggesting import plan
from finetune.console import Reporter, automatic
from finetune.data.manifest import Manifest, read_manifest
from finetune.data.reading import root_of
from finetune.data.rereading import verify_unchanged
from finetune.deploy.result import Run
from finetune.environment import describe_machine
from finetune.errors import RunError
from finetune.files import sweep, text_digest
from finetune.locking import locked
from finetune.memory import keep_freed_memory
from finetune.model.backbone import Loaded, input_spec
from finetune.model.device import pick_device
from finetune.model.precision import native_bfloat16
from finetune.model.weights import choose_weights
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe
from finetune.recipe.undecided import known
from finetune.recipe.writing import dump
from finetune.run import RunDirectory, is_beginning, new_run, place_for
from finetune.tracking.following import Trackers, following
from finetune.training.binding import check_processes, pick_precision
from finetune.training.checkpoints import clear
from finetune.training.course import run_course
from finetune.training.estimate import estimate
from finetune.training.log import Log
from finetune.training.preview import show_plan
from finetune.training.setting import Setting


def train(
    data: PathName,
    recipe: PathName | Recipe = "lp_ft",
    *,
    overrides: Sequence[str] = (),
    weights: PathName | None = None,
    out: PathName | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Learn to tell the classes of ``data`` apart.

    Args:
        data: A folder of class folders, a folder with ``train/`` beside other splits, or a CSV or
            Parquet file with the columns ``path`` and ``label``; an archive of one of these; or
            a folder that Hugging Face ``datasets`` saved. Nothing in it is written to.
        recipe: A name of the catalogue, a YAML file, or a `Recipe`; or ``"auto"``: chosen for DATA
            and this machine, as `suggest` tells.
        overrides: ``KEY=VALUE`` each, as after ``--set`` on the command line.
        weights: A weights file, ``"none"``, or None: the backbone's own from the hub.
        out: Where the run directory is made; ``runs/<data>-<recipe>-<n>`` by default.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        FinetuneError: Something that the caller can mend, told before work starts where possible.
    """
    keep_freed_memory()
    reporter = reporter or automatic()
    name = known(recipe, overrides).name
    target = Path(out) if out else None
    with (
        place_for(target, Path(data), name, Path.cwd()) as place,
        new_run(place, Path(data)) as run,
    ):
        planned = plan(data, recipe, overrides=overrides, weights=weights, reporter=reporter)
        setting = setting_of(planned, run, reporter)
        show_plan(setting, estimate(setting))
        _write_beginning(run, Path(data), planned, setting)
        return _complete(run, planned, setting)


def resume(run: PathName, data: PathName | None = None, *, reporter: Reporter | None = None) -> Run:
    """Go on with a training that was interrupted, from its last checkpoint.

    Args:
        run: Its run directory.
        data: Where DATA lies now, if it has been moved.
        reporter: Who is told; progress in a notebook or on a terminal by default.

    Raises:
        RunError: There is no such run, or recipe, data or weights are not what they were.
        DeviceError: This machine has not the run's number format.
        FinetuneError: What `train` raises.
    """
    keep_freed_memory()
    reporter = reporter or automatic()
    directory = RunDirectory(Path(run))
    environment = _begun(directory)
    if not directory.complete:
        with locked(directory.lock):
            if not directory.complete:  # by another process, a moment ago
                sweep(directory.path)
                return _go_on(directory, environment, data, reporter)
    clear(directory.checkpoints)  # there still, if the run was killed at its very end
    if not directory.report.is_file():
        report_on(directory, reporter)
    _catch_up(directory, reporter)
    reporter.say(f"{run} is complete; there is nothing to go on with.")
    return Run(directory)


def _begun(directory: RunDirectory) -> Any:
    """What ``environment.json`` says of a run that was begun."""
    if is_beginning(directory.path):
        raise RunError(
            "its training was interrupted before it had begun",
            where=str(directory.path),
            mend="Give the command that began it once more, with the same --out.",
        )
    return directory.read_json(directory.environment)


def _go_on(
    directory: RunDirectory, environment: Any, data: PathName | None, reporter: Reporter
) -> Run:
    check_processes()
    recipe = load_recipe(directory.recipe)
    manifest = read_manifest(directory.data, _root(data, environment["data"], reporter))
    _check_as_written(directory, environment, recipe, manifest)
    verify_unchanged(manifest, recipe.data.max_pixels, reporter)
    # The resolved recipe has the last word, as the command line had that began the run.
    backbone = recipe.model.backbone
    choice = choose_weights(recipe.model, environment["weights"]["asked"], backbone)
    loaded = load(choice, len(manifest.classes), recipe)
    _check_same_weights(directory, environment, loaded)
    spec = input_spec(loaded, recipe.input)
    planned = Plan(recipe, manifest, loaded, spec, environment["weights"]["asked"])
    return _complete(directory, planned, setting_of(planned, directory, reporter))


def _write_beginning(run: RunDirectory, data: Path, planned: Plan, setting: Setting) -> None:
    """What a resumed run starts from; ``environment.json`` last, as the sign that all is there."""
    planned.manifest.write_csv(run.data)
    run.write_text(run.recipe, planned.recipe_text)
    environment = describe_machine() | {
        "device": str(setting.device),
        "recipe_digest": text_digest(dump(planned.recipe)),
        "data": {
            "given": str(data.absolute()),
            "root": str(planned.manifest.root.absolute()),
            "digest": planned.manifest.digest(),
            "named": {key: asdict(file) for key, file in planned.named.items()},
        },
        "weights": {"asked": planned.weights} | planned.loaded.report.to_dict(),
    }
    run.write_json(run.environment, environment)


def _complete(run: RunDirectory, planned: Plan, setting: Setting) -> Run:
    with following(run, planned.recipe, setting.reporter) as trackers:
        log = Log(run.log, trackers.follow)
        trackers.follow(log.rows)  # of a run that is gone on with
        trained = run_course(replace(setting, log=log))
        finish(run, planned, setting, trained)
        clear(run.checkpoints)
        trackers.finish()
    return Run(run)


def _catch_up(run: RunDirectory, reporter: Reporter) -> None:
    """Send what trackers lack of a run that is complete."""
    recipe = load_recipe(run.recipe)
    late = Trackers(run, recipe, reporter).unfinished
    if not late:
        return
    with locked(run.lock), following(run, recipe, reporter, late) as trackers:
        trackers.follow(Log(run.log).rows)
        trackers.finish()


def _root(data: PathName | None, described: dict[str, str], reporter: Reporter) -> Path:
    """The folder that the manifest's paths start from.

    What was unpacked may have been removed since, with the rest of the cache: then it is unpacked
    again. Where an archive is gone itself, what it was unpacked to will do.
    """
    given = Path(data if data is not None else described.get("given", described["root"]))
    if data is None and not given.exists():
        return Path(described["root"])
    return root_of(given, reporter)


def _check_as_written(
    directory: RunDirectory, environment: dict[str, Any], recipe: Recipe, manifest: Manifest
) -> None:
    """Nothing that the finished phases were computed from may have been edited since."""
    edited = [
        path.name
        for path, was, now in (
            (directory.recipe, environment["recipe_digest"], text_digest(dump(recipe))),
            (directory.data, environment["data"]["digest"], manifest.digest()),
        )
        if was != now
    ]
    if edited:
        raise RunError(
            f"{' and '.join(edited)} {'is' if len(edited) == 1 else 'are'} not as the run wrote it",
            where=str(directory.path),
            mend="Put it back as it was, or start a new run with it.",
        )
    device = pick_device()
    pick_precision(recipe.precision, device, native_bfloat16(device))


def _check_same_weights(
    directory: RunDirectory, environment: dict[str, Any], loaded: Loaded
) -> None:
    was, now = environment["weights"]["digest"], loaded.report.digest
    if was != now:
        raise RunError(
            f"its weights were {environment['weights']['source']} with digest {was[:12]}; now "
            f"they have {now[:12]}",
            where=str(directory.path),
            mend="Put the same weights back, or start a new run.",
        )
