"""Where a network's body is cut: the levels that `finetune.model.stages` makes stages of."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from timm.models import group_parameters
from torch import nn

# A plain stack of blocks is cut into as many runs as the usual network has resolution levels.
_RUNS = 4
_STEM = re.compile(r"(^|\.)(stem|conv|bn|norm|act|relu|pool|maxpool)[^.]*(\.|$)")


@dataclass(frozen=True)
class Levels:
    """The levels of a body.

    Attributes:
        names: What they are called, from the input on.
        outputs: The module whose output ends each level, or ``""`` where that isn't known.
        place: For each module of the network by name, in the order of registration, the index of
            its level.
    """

    names: tuple[str, ...]
    outputs: tuple[str, ...]
    place: dict[str, int]


def levels_of(model: nn.Module, head: str) -> Levels:
    """The levels by ``feature_info``; else by timm's layer groups; else one, called ``body``.

    Args:
        model: A timm network.
        head: Dotted name of its classifier.
    """
    names = [name for name, _ in model.named_modules() if name]
    return (
        _by_feature_info(model, names, head)
        or _by_groups(model, names, head)
        or Levels(("body",), ("",), dict.fromkeys(names, 0))
    )


def _by_feature_info(model: nn.Module, names: list[str], head: str) -> Levels | None:
    known = set(names)
    info = [
        entry for entry in getattr(model, "feature_info", None) or () if isinstance(entry, dict)
    ]
    entries = [entry for entry in info if entry.get("module") in known]
    outputs = list(dict.fromkeys(entry["module"] for entry in entries))
    if not outputs:
        return None
    if len(outputs) > 1 and len({entry.get("reduction") for entry in entries}) == 1:
        cuts = _runs(outputs)
    else:
        cuts = [(_level_name(output, first=output == outputs[0]), output) for output in outputs]
    ends = [_last_inside(names, output) for _, output in cuts]
    rises = all(before < after for before, after in pairwise(ends))
    if not rises or any(head.startswith(f"{output}.") for _, output in cuts):
        return None
    last = len(cuts) - 1
    place = {name: min(bisect.bisect_left(ends, i), last) for i, name in enumerate(names)}
    return Levels(tuple(name for name, _ in cuts), tuple(output for _, output in cuts), place)


def _runs(blocks: Sequence[str]) -> list[tuple[str, str]]:
    """Runs of equal depth: the name of each is its first block, its output the last one's."""
    count = min(_RUNS, len(blocks))
    starts = [run * len(blocks) // count for run in range(count + 1)]
    return [(blocks[start], blocks[stop - 1]) for start, stop in pairwise(starts)]


def _level_name(output: str, *, first: bool) -> str:
    return "stem" if first and _STEM.search(output) else output


def _last_inside(names: list[str], name: str) -> int:
    """Position of the last module inside ``name``; registration order keeps them together."""
    return max(i for i, other in enumerate(names) if other == name or other.startswith(f"{name}."))


def _by_groups(model: nn.Module, names: list[str], head: str) -> Levels | None:
    """The groups that timm's layer-wise rate decay uses, coarse ones."""
    matcher = getattr(model, "group_matcher", None)
    if not callable(matcher):
        return None
    group = group_parameters(model, matcher(coarse=True), reverse=True)
    body = {name: at for name, at in group.items() if not name.startswith(f"{head}.")}
    order = sorted({at for name, at in body.items() if _numbered(name)})
    if len(order) < 2:
        return None
    rank = {name: max(bisect.bisect_right(order, at) - 1, 0) for name, at in body.items()}
    titles = [_common(sorted(n for n in body if body[n] == at and _numbered(n))) for at in order]
    place: dict[str, int] = {}
    current = 0
    for name in names:
        own = [rank[n] for n in rank if n.rpartition(".")[0] == name]
        current = own[0] if own else current
        place[name] = current
    return Levels(tuple(titles), ("",) * len(titles), place)


def _numbered(name: str) -> bool:
    return re.search(r"\.\d+\.", name) is not None


def _common(names: Sequence[str]) -> str:
    """``stages.0`` for names that all begin so; else the first name up to its number."""
    first, last = names[0].split("."), names[-1].split(".")
    if first[:2] == last[:2] and first[1].isdigit():
        return ".".join(first[:2])
    match = re.match(r".*?\.\d+", names[0])
    return match.group() if match else names[0]
