"""What can be wrong with a recipe, and telling all of it together."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.errors import RecipeError
from finetune.recipe.tree import Origin, Path, dotted
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        origin: Where it was written.
        path: The key that it is about; empty for the recipe as a whole.
        message: What was found and what may stand there instead.
    """

    origin: Origin
    path: Path
    message: str

    def __str__(self) -> str:
        parts = (str(self.origin), dotted(self.path), printable(self.message))
        return ": ".join(part for part in parts if part)


def together(faults: Iterable[Fault | str], mend: str = "") -> RecipeError:
    """One error that tells all ``faults``, a line each, and what to do about them."""
    lines = dict.fromkeys(str(fault) for fault in faults)
    return RecipeError("\n".join(lines), mend=mend)


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """The choice that ``word`` was most likely meant to be, if any is like it."""
    by_form = {choice.lower(): choice for choice in choices}
    form = word.lower().replace("-", "_")
    close = difflib.get_close_matches(form, by_form, n=1, cutoff=0.6)
    return by_form[close[0]] if close else None


def shown(value: Any) -> str:
    """``value`` as a fault quotes it: short, on one line, in YAML's words."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = printable(repr(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
