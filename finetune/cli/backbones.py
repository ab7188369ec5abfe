"""``finetune backbones``: which there are, and where each can be frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune.console import Console
from finetune.text import listed, plural

if TYPE_CHECKING:
    from finetune.model.costs import StageCost
    from finetune.model.listing import Examined, Listed

_LIST = ("name", "parameters", "mult.-adds", "input", "stages", "weights", "licence")
_STAGES = (
    *("train", "also", "output", "parameters", "share", "mult.-adds", "share"),
    *("trained", "of the work"),
)
_WIDEST = 240


def show_backbones(pattern: str, limit: int, num_classes: int, size: int | None) -> None:
    """Show the backbones that ``pattern`` means, or the stages of the one that it names."""
    from finetune.model.listing import examine, find_listed, is_name, listed_all

    one = is_name(pattern)
    found = listed_all([pattern]) if one else find_listed(pattern)
    console = Console()
    examined = examine(found[:limit], console, num_classes=num_classes, size=size)
    if one:
        _show_one(examined[0], num_classes)
        return
    _show_list(examined)
    _show_rest(pattern, len(found), limit)


def _show_list(examined: list[Examined]) -> None:
    out = _stdout()
    out.table("Backbones", _LIST, [_row(each) for each in examined])
    for each in examined:
        if each.unfit:
            out.say(each.unfit)


def _show_rest(pattern: str, matched: int, limit: int) -> None:
    out = _stdout()
    if matched > limit:
        out.say(f"{limit} of {matched:,}. All: --limit {matched}. Or narrow the pattern.")
    elif not pattern:
        out.say(
            "A short selection of those that timm has. `finetune backbones PATTERN` finds others "
            "by a part of their names or a glob, such as '*'."
        )
    out.say("`finetune backbones NAME` shows the stages of one, and what each costs to train.")


def _row(examined: Examined) -> list[str]:
    known = examined.listed
    figures = [_short(examined.parameters), _short(examined.multiply_adds)]
    return [
        known.name,
        *(["–", "–"] if examined.unfit else figures),
        known.input,
        "–" if examined.unfit else str(len(examined.stages) - 1),
        str(len(known.weights)),
        known.licence or ("not known" if known.tag else ""),
    ]


def _show_one(examined: Examined, num_classes: int) -> None:
    out, known = _stdout(), examined.listed
    if examined.unfit:
        out.say(f"No stages to show: {examined.unfit}")
    else:
        out.table(f"Stages of {known.name}", _STAGES, _stage_rows(examined.stages))
        out.say(
            f"In all {_short(examined.parameters)} parameters and "
            f"{_short(examined.multiply_adds)} multiply-adds a picture, with a head of "
            f"{plural(num_classes, 'class', 'classes')}.\n"
            "If training begins at a stage: trained are the parameters of it and all after it, "
            "and their share of the work is what each step computes anew."
        )
    _show_weights(known)


def _show_weights(known: Listed) -> None:
    out = _stdout()
    if not known.weights:
        out.say("timm has no weights for it: --weights takes a file of them, or none.")
        return
    licence = known.licence or "not known"
    out.say(
        f"Trained for {known.input} pixels. Licence of the weights: {licence}.\n"
        f"Weights: {listed(known.weights)}. "
        f"`finetune backbones '{known.architecture}.*'` tells their licences."
    )


def _stage_rows(stages: tuple[StageCost, ...]) -> list[list[str]]:
    parameters = [stage.parameters for stage in stages]
    work = [stage.multiply_adds for stage in stages]
    return [
        [
            stage.name,
            _also(number, len(stages)),
            "x".join(map(str, stage.output)) or "several",
            *(_short(parameters[number]), _share(parameters[number], parameters)),
            *(_short(work[number]), _share(work[number], work)),
            *(_short(sum(parameters[number:])), _share(sum(work[number:]), work)),
        ]
        for number, stage in enumerate(stages)
    ]


def _also(number: int, count: int) -> str:
    """What else a recipe may call a stage."""
    return {0: "all", count - 1: ""}.get(number, f"last_{count - 1 - number}")


def _share(value: int, values: list[int]) -> str:
    return f"{value / max(sum(values), 1):.1%}"


def _short(value: int) -> str:
    """Three digits and a unit: ``25.6 M``, ``4.09 G``."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"
    return str(value)


def _stdout() -> Console:
    """A console on standard output that breaks no name into two lines."""
    from rich.console import Console as RichConsole

    return Console(RichConsole(highlight=False, emoji=False, width=_WIDEST))
