"""``finetune recipes``: see, copy and check recipes.

What loads the schema is imported where it is used, so that ``finetune --help`` is quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from finetune.console import Console
from finetune.errors import RecipeError
from finetune.recipe.catalogue import catalogue, entry

app = typer.Typer(no_args_is_help=True, help="See, copy and check recipes.")


@app.command("list")
def list_recipes() -> None:
    """List the recipes that come with finetune."""
    rows = [(each.name, each.summary) for each in catalogue()]
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
def copy(
    name: Annotated[str, typer.Argument(help="A recipe's name.")],
    file: Annotated[
        Path | None, typer.Argument(help="Where to; NAME.yaml in this folder when not given.")
    ] = None,
) -> None:
    """Copy a recipe, to change it."""
    source = entry(name)
    target = file or Path(f"{name}.yaml")
    try:
        with target.open("xb") as copied:
            copied.write(source.path.read_bytes())
    except FileExistsError:
        raise RecipeError(
            "is already there and was left as it is", where=str(target), mend="Give another name."
        ) from None
    except OSError as error:
        raise RecipeError(f"can't be written ({error.strerror})", where=str(target)) from error
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


def _told(fault: RecipeError) -> str:
    return f"{fault.where}: {fault.found}" if fault.where else fault.found


def _stdout() -> Console:
    """A console on standard output that leaves text as it is."""
    from rich.console import Console as RichConsole

    return Console(RichConsole(highlight=False, emoji=False))
