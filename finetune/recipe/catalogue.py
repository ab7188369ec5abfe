"""The recipes that come with `finetune`, found by looking."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import RecipeError
from finetune.recipe.faults import nearest
from finetune.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator


AUTO = "auto"
"""What stands for a recipe that is yet to be chosen; no file is called so."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipe of the catalogue.

    Attributes:
        name: What ``--recipe`` and ``extends`` call it.
        path: Its file.
        summary: The first sentence of the comment that it opens with.
    """

    name: str
    path: Path
    summary: str

    @property
    def reasons(self) -> str:
        """The comment after that: when the recipe is of use, and why it has these numbers."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        comment = takewhile(lambda line: line.startswith("#"), lines)
        after = dropwhile(lambda line: line != "#", comment)
        return "\n".join(line.removeprefix("#").strip() for line in after).strip()


def catalogue() -> tuple[Entry, ...]:
    """The recipes that come with `finetune`, by name."""
    files = sorted(path for folder in _folders() for path in folder.glob("*.yaml"))
    return tuple(Entry(path.stem, path, _summary(path)) for path in files)


def entry(name: str) -> Entry:
    """The recipe of that name.

    Raises:
        RecipeError: There is none.
    """
    if name == AUTO:
        raise RecipeError(
            "auto is no recipe in a file: it is chosen for DATA and the machine",
            mend="`finetune recipes suggest DATA` shows or writes what is chosen.",
        )
    entries = {each.name: each for each in catalogue()}
    if name in entries:
        return entries[name]
    close = nearest(name, list(entries))
    hint = f"; the nearest is {close}" if close else ""
    raise RecipeError(
        f"there is no recipe {name!r}{hint} (there are: {listed(list(entries), 20)})",
        mend="A recipe of your own is given by its file, such as my_recipe.yaml.",
    )


def _folders() -> Iterator[Path]:
    """Where the recipes lie: packaged with the code, or beside it in a checkout."""
    spec = find_spec("finetune.recipes")
    packaged = spec.submodule_search_locations if spec else None
    for place in packaged or [str(Path(__file__).parents[2] / "recipes")]:
        folder = Path(place)
        if folder.is_dir():
            yield folder


def _summary(path: Path) -> str:
    """The first sentence of the comment that the file opens with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    paragraph = takewhile(lambda line: line.startswith("# "), lines)
    text = " ".join(line.removeprefix("# ").strip() for line in paragraph)
    return text.partition(". ")[0].rstrip(".")
