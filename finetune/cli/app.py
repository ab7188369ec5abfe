"""The commands and their arguments. Each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finetune.cli.arguments import Data, Inputs, Model, Overrides, RecipeName, Weights
from finetune.cli.cache import app as cache
from finetune.cli.datasets import app as datasets
from finetune.cli.recipes import app as recipes

app = typer.Typer(
    help="A folder of labelled images in; a classifier you can trust, and its evidence, out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would take twice the time of all the rest to load
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(recipes, name="recipes", help="List, show, suggest, copy and check recipes.")
app.add_typer(datasets, name="datasets", help="List, show, fetch and sample public data sets.")
app.add_typer(cache, name="cache", help="List and clear what was computed or unpacked and is kept.")


def _version(wanted: bool) -> None:
    if wanted:
        from finetune import __version__

        typer.echo(f"finetune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="A folder of class folders; one with train/ beside other splits; a CSV or Parquet "
            "file with the columns path and label; one of these as .zip or .tar (.gz, .bz2, .xz); "
            "or a folder that Hugging Face datasets saved.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            "-r",
            metavar="NAME|FILE|auto",
            help="A recipe's name or YAML file; lp_ft when not given. auto: chosen for DATA.",
        ),
    ] = None,
    overrides: Overrides = None,
    weights: Weights = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN", help="The run directory to make.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and how long it takes.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
) -> None:
    """Learn to tell the classes of DATA apart."""
    from finetune.cli.train import resume_run, start_run

    if resume is None:
        if data is None:
            raise typer.BadParameter("name DATA to learn from, or a run with --resume")
        start_run(data, recipe or "lp_ft", overrides or [], weights, out, dry_run=dry_run)
        return
    given = {"--recipe": recipe, "--set": overrides, "--weights": weights, "--out": out}
    refused = [name for name, value in (given | {"--dry-run": dry_run}).items() if value]
    if refused:
        raise typer.BadParameter(f"a resumed run keeps its own; drop {', '.join(refused)}")
    resume_run(resume, data)


@app.command()
def check(
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="A folder to make for page and fixes."),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", metavar="NAME|FILE", help="Says how DATA is divided.")
    ] = "lp_ft",
    overrides: Overrides = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", "-w", metavar="FILE", help="Let a network look for more copies."),
    ] = None,
) -> None:
    """Look at DATA: unreadable files, copies, leaks, odd pictures, and what to do."""
    from finetune.cli.check import check_folder

    check_folder(data, recipe, overrides or [], weights, out)


@app.command()
def predict(
    model: Model,
    inputs: Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help="The CSV file to write.")],
    abstain: Annotated[
        bool,
        typer.Option("--abstain", help="Name no class where the model knows that it shouldn't."),
    ] = False,
) -> None:
    """Classify images: a row for each in a CSV file."""
    from finetune.cli.predict import predict_files

    predict_files(model, inputs, out, abstain=abstain)


@app.command()
def embed(
    model: Model,
    inputs: Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .parquet file to write.")],
) -> None:
    """Turn images into vectors, to search by likeness: a row for each in a Parquet file."""
    from finetune.cli.predict import embed_files

    embed_files(model, inputs, out)


@app.command()
def evaluate(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
) -> None:
    """Score a classifier on labelled images that it has not learnt from."""
    from finetune.cli.predict import evaluate_model

    evaluate_model(model, data, out)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """Write report.html and the model card of a run again, from its directory alone."""
    from finetune.cli.report import write_report

    write_report(run)


@app.command()
def cv(
    data: Data,
    folds: Annotated[
        int, typer.Option(min=2, help="Parts that the images are cut into, each judged once.")
    ] = 5,
    repeats: Annotated[
        int, typer.Option(min=1, help="How often they are cut anew, with trainings of its own.")
    ] = 2,
    recipe: RecipeName = "lp_ft",
    overrides: Overrides = None,
    weights: Weights = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="The directory to make, or to go on in."),
    ] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Then train a classifier on all images: DIR/final.")
    ] = False,
) -> None:
    """Score a recipe on DATA by cross-validation: every image is judged, none by what saw it."""
    from finetune.cli.experiments import cross_validate

    cross_validate(data, recipe, folds, repeats, overrides or [], weights, out, final=final)


@app.command("learning-curve")
def learning_curve(
    data: Data,
    sizes: Annotated[
        str, typer.Option(metavar="auto|N,N,...", help="Images of each class to learn from.")
    ] = "auto",
    repeats: Annotated[
        int, typer.Option(min=1, help="How often the images of each size are drawn.")
    ] = 5,
    recipe: RecipeName = "linear_probe",
    overrides: Overrides = None,
    weights: Weights = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where to write the curve.")
    ] = None,
) -> None:
    """Train on ever more images and tell what more of them would buy."""
    from finetune.cli.experiments import trace_curve

    trace_curve(data, sizes, repeats, recipe, overrides or [], weights, out)


@app.command("lr-find")
def lr_find(
    data: Data,
    recipe: RecipeName = "lp_ft",
    phase: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The phase; the first one that has a rate by default."),
    ] = None,
    overrides: Overrides = None,
    weights: Weights = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="A page (.html) or table (.csv) to write."
        ),
    ] = None,
) -> None:
    """Try ever higher learning rates in a phase's first steps, and suggest one; keep no weights."""
    from finetune.cli.experiments import find_rate

    find_rate(data, recipe, phase, overrides or [], weights, out)


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN...", help="Run directories, or folders of evaluate or of cv."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to write it, with every image."),
    ] = None,
) -> None:
    """Compare runs, image by image: is one better than chance would make it?"""
    from finetune.cli.experiments import compare_runs

    compare_runs(runs, out)


@app.command()
def backbones(
    pattern: Annotated[
        str,
        typer.Argument(
            show_default=False,
            help="A part of a name, a glob, or one whole name; a short selection when not given.",
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 20,
    classes: Annotated[int, typer.Option(min=1, help="Outputs of the head.")] = 1000,
    size: Annotated[
        int | None,
        typer.Option(
            min=16, max=2048, help="Side of the pictures in pixels; else that of the weights."
        ),
    ] = None,
) -> None:
    """List backbones and what they cost, or the stages of one; nothing is downloaded."""
    from finetune.cli.backbones import show_backbones

    show_backbones(pattern, limit, classes, size)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the pictures are written.")] = Path(
        "finetune-demo"
    ),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN", help="The run directory to make.")
    ] = None,
) -> None:
    """Train on 1,797 scanned digits that come along: a first look in minutes."""
    from finetune.cli.demo import run_demo

    run_demo(folder, out)


@app.command()
def doctor() -> None:
    """Look at this machine: versions, devices, number formats, hub, disk."""
    from finetune.cli.doctor import examine

    raise typer.Exit(examine())
