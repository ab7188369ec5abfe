"""Arguments and options that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[str, typer.Argument(help="Labelled images, in the forms that train takes.")]

Model = Annotated[Path, typer.Argument(help="A run directory, or the folder model in one.")]

Inputs = Annotated[list[str], typer.Argument(help="Images, folders of images, or globs.")]

RecipeName = Annotated[
    str, typer.Option("--recipe", "-r", metavar="NAME|FILE|auto", help="As for train.")
]

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Change a key of the recipe."),
]

Weights = Annotated[
    str | None,
    typer.Option("--weights", "-w", metavar="FILE|none", help="Weights to start from."),
]
