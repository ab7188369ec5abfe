"""``finetune datasets``: public data sets, to see and to fetch.

What loads the descriptors is imported where it is used, so that ``finetune --help`` is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.console import Console
from finetune.text import byte_size, plural

if TYPE_CHECKING:
    from finetune.data.public.descriptors import Descriptor

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A data set's name, as `list` tells it.")]
_FROM = "A folder, or the address of a mirror, that has the files by their names."


@app.command("list")
def list_() -> None:
    """List the public data sets that can be fetched."""
    from finetune.data.public.catalogue import catalogue

    header = ("name", "what", "classes", "images", "download", "licence")
    rows = [_row(each) for each in catalogue()]
    _stdout().table("Public data sets", header, rows)
    _stdout().say("`finetune datasets show NAME` tells all of one, and the traps that are known.")


@app.command()
def show(name: Name) -> None:
    """Show all that is known of a data set, and what of it nobody has verified."""
    from finetune.cli.describing import described
    from finetune.data.public.catalogue import card, descriptor

    _stdout().say("\n".join([card(name).rstrip("\n"), "", *described(descriptor(name))]))


@app.command()
def fetch(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder to make; NAME when not given.")
    ] = None,
    origin: Annotated[
        str, typer.Option("--from", metavar="FOLDER|ADDRESS", help=_FROM, show_default=False)
    ] = "",
    accept: Annotated[
        list[str] | None,
        typer.Option(metavar="DIGEST", help="Take a file of this digest though another is known."),
    ] = None,
) -> None:
    """Download a data set into a folder that can be trained on.

    An interrupted download goes on with the same command.
    """
    from finetune.data.public.catalogue import descriptor

    _fetched(descriptor(name), out or Path(name), origin, accept or [])


@app.command()
def sample(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder to make; NAME-sample when not given."),
    ] = None,
    per_class: Annotated[
        int, typer.Option(min=1, help="Images of each class, in each part that there is.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Another seed takes other images.")] = 1,
    origin: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Where it was fetched to; or NAME."),
    ] = None,
) -> None:
    """Take a few images of each class, always the same ones; fetch the data set where it is not."""
    from finetune.data.public.catalogue import descriptor
    from finetune.data.public.fetching import check_place
    from finetune.data.public.sampling import sample as take_sample

    wanted, target = descriptor(name), out or Path(f"{name}-sample")
    check_place(target)
    whole = origin or Path(name)
    if origin is None and not whole.exists():
        _fetched(wanted, whole, "", [])
    count = take_sample(wanted, whole, target, per_class, seed)
    _stdout().say(f"{plural(count, 'image')} of {name}: {target}")


def _fetched(descriptor: Descriptor, out: Path, origin: str, accept: list[str]) -> None:
    from finetune.data.public.fetching import fetch as fetch_to
    from finetune.data.public.fetching import unfinished
    from finetune.data.public.obtaining import Obtaining

    console = Console()
    work = unfinished(out)
    obtaining = Obtaining(descriptor, work, console, origin, frozenset(accept))
    console.say(f"{descriptor.title}. Licence: {descriptor.licence}.")
    try:
        fetch_to(descriptor, out, obtaining)
    except KeyboardInterrupt:
        console.say(f"\nWhat there is of it is kept in {work}; the same command goes on with it.")
        raise
    _stdout().say(f"{out}: look at {out / 'DATASET.md'}, then `finetune train {out}`")


def _row(descriptor: Descriptor) -> tuple[str, ...]:
    length = descriptor.download_length
    return (
        descriptor.name,
        descriptor.what,
        f"{descriptor.class_count:,}",
        f"{descriptor.images:,}",
        "unknown" if length is None else byte_size(length) if length else "none",
        descriptor.licence,
    )


def _stdout() -> Console:
    """A console on standard output that leaves text as it is."""
    from rich.console import Console as RichConsole

    return Console(RichConsole(highlight=False, emoji=False))
