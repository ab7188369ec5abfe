"""``finetune recipes``: see, suggest, copy and check recipes.

What loads the schema is imported where it is used, so that ``finetune --help`` is quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from finetune.cli.arguments import Data, Weights
from finetune.console import Console
from finetune.errors import RecipeError
from finetune.recipe.catalogue import AUTO, catalogue, entry

_AUTO = "Chosen for your images and this machine; `finetune recipes suggest DATA` tells why"

app = typer.Typer(no_args_is_help=True, help="See, suggest, copy and check recipes.")


@app.command("list")
def list_recipes() -> None:
    """List the recipes that come with finetune."""
    rows = [(AUTO, _AUTO), *((each.name, each.summary) for each in catalogue())]
    _stdout().table("Recipes", ("name", "what it does"), rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A recipe's name, or its file.")],
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Show every key, with what it extends filled in.")
    ] = False,
) -> None:
    """Show a recipe."""
    from finetune.recipe.loading import load_recipe, recipe_file
    from finetune.recipe.writing import dump

    recipe = load_recipe(name)
    text = dump(recipe) if resolved else recipe_file(name).read_text(encoding="utf-8-sig")
    _stdout().say(text.rstrip("\n"))


@app.command()
def suggest(
    data: Data,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="What is not to be chosen."),
    ] = None,
    weights: Weights = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="A YAML file to make; else it is shown."),
    ] = None,
) -> None:
    """Choose a recipe for DATA and this machine, with a reason for each choice; train nothing."""
    from finetune import api
    from finetune.run import check_outside, check_writable

    if out is not None:  # what can't be written is told before the images are looked at
        if out.exists():
            raise _already_there(out)
        check_outside(out, Path(data))
        check_writable(out)
    suggestion = api.suggest(data, overrides=overrides or [], weights=weights, reporter=Console())
    if out is None:
        _stdout().say(suggestion.text().rstrip("\n"))
        return
    _write_new(out, suggestion.text().encode())
    _stdout().say(f"{out}: read it, change it, then `finetune train DATA --recipe {out}`")


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="A recipe's name.")],
    file: Annotated[
        Path | None, typer.Argument(help="Where to; NAME.yaml in this folder when not given.")
    ] = None,
) -> None:
    """Copy a recipe, to change it."""
    source = entry(name)
    target = file or Path(f"{name}.yaml")
    _write_new(target, source.path.read_bytes())
    _stdout().say(f"{target}: change it, then `finetune train DATA --recipe {target}`")


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Recipes to check.")],
) -> None:
    """Check the form of recipes and tell all that is wrong with them."""
    from finetune.recipe.loading import load_recipe

    faults: list[RecipeError] = []
    for file in files:
        try:
            load_recipe(file)
        except RecipeError as error:
            faults.append(error)
        else:
            _stdout().say(f"{file}: ok")
    if faults:
        mend = next((fault.mend for fault in faults if fault.mend), "")
        raise RecipeError("\n".join(_told(fault) for fault in faults), mend=mend)


@app.command()
def schema() -> None:
    """Print the JSON schema of recipe files, for editors."""
    from finetune.recipe.reference import json_schema

    _stdout().say(json.dumps(json_schema(), indent=2))


def _write_new(file: Path, content: bytes) -> None:
    """Write a file that is not there yet.

    Raises:
        RecipeError: It is there, or can't be written.
    """
    try:
        with file.open("xb") as made:
            made.write(content)
    except FileExistsError:
        raise _already_there(file) from None
    except OSError as error:
        raise RecipeError(f"can't be written ({error.strerror})", where=str(file)) from error


def _already_there(file: Path) -> RecipeError:
    return RecipeError(
        "is already there and was left as it is", where=str(file), mend="Give another name."
    )


def _told(fault: RecipeError) -> str:
    return f"{fault.where}: {fault.found}" if fault.where else fault.found


def _stdout() -> Console:
    """A console on standard output that leaves text as it is."""
    from rich.console import Console as RichConsole

    return Console(RichConsole(highlight=False, emoji=False))
