"""A network as a row of stages, from the input to the head.

A stage is a resolution level: what lies between two of the places that timm's ``feature_info``
names, which is where the picture's side is halved. A plain stack of equal blocks (ViT, Mixer,
ConvMixer) has no such levels and is cut into four runs of blocks. Every parameter and every
buffer belongs to exactly one stage, and nothing in a stage acts on an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from finetune.errors import RecipeError
from finetune.model.head import classifier_name
from finetune.model.levels import Levels, levels_of
from finetune.text import listed, plural

HEAD = "head"


@dataclass(frozen=True)
class Stage:
    """A part of a network that trains or is frozen as a whole.

    Attributes:
        name: What recipes and tables call it.
        parameters: Dotted names of its parameters.
        buffers: Dotted names of its buffers.
        modules: Dotted names of the modules that lie wholly in it, outer ones before inner ones.
            A container that spans stages belongs to none.
        output: Dotted name of the module whose output ends the stage, where one is known.
    """

    name: str
    parameters: tuple[str, ...]
    buffers: tuple[str, ...]
    modules: tuple[str, ...]
    output: str = ""


def stages_of(model: nn.Module) -> tuple[Stage, ...]:
    """The body's stages from input to output, then ``head``, which is the classifier alone.

    Parameters of the network itself (class token, position embedding) belong to the first stage;
    what comes after the last level (a final convolution or norm) to the last body stage.
    Layers without state right before the classifier (pooling, dropout) go with the head, so that
    the head's dropout acts when nothing but the head trains.

    Raises:
        WeightsError: The network has not one linear classifier.
    """
    head = classifier_name(model)
    levels = levels_of(model, head)
    place = _with_head(model, levels, head)
    names = (*levels.names, HEAD)
    outputs = (*levels.outputs, head)
    return tuple(
        Stage(
            name=name,
            parameters=tuple(_owned(model.named_parameters(), place, index)),
            buffers=tuple(_owned(model.named_buffers(), place, index)),
            modules=tuple(_whole_modules(place, index)),
            output=outputs[index],
        )
        for index, name in enumerate(names)
    )


def trained(stages: Sequence[Stage], train: str) -> tuple[Stage, ...]:
    """The stages that train, always a suffix with the head at its end.

    Args:
        stages: All stages, as `stages_of` gives them.
        train: ``head``; ``all``; ``last_N``, the head and the last N body stages; or a stage's
            name, for it and everything after it.

    Raises:
        RecipeError: There is no such stage, or there are not so many.
    """
    names = [stage.name for stage in stages]
    if train in names:
        return tuple(stages[names.index(train) :])
    if train == "all":
        return tuple(stages)
    last = re.fullmatch(r"last_([1-9][0-9]{0,5})", train)
    if last is None:
        raise RecipeError(f"train: {train!r} is no stage of this backbone", mend=_choices(names))
    count = int(last[1])
    if count >= len(stages):
        body = plural(len(stages) - 1, "stage")
        raise RecipeError(f"train: {train}, but this backbone has {body}", mend=_choices(names))
    return tuple(stages[-count - 1 :])


def _choices(names: Sequence[str]) -> str:
    body = len(names) - 1
    last = "last_1" if body == 1 else f"last_1 to last_{body}"
    return f"Choose head, {last}, all, or a stage: {listed(list(names[:-1]), 16)}."


def _with_head(model: nn.Module, levels: Levels, head: str) -> dict[str, int]:
    """Each module's stage by name, the head's own modules among them."""
    place = dict(levels.place)
    stateful = {name.rpartition(".")[0] for name in _tensor_names(model)}
    names = list(place)
    at = names.index(head)
    for name in names[at:]:
        if name == head or (name not in stateful and _is_leaf(model, name)):
            place[name] = len(levels.names)
    for name in reversed(names[:at]):
        if head.startswith(f"{name}."):
            continue
        if name in stateful or not _is_leaf(model, name) or name in levels.outputs:
            break
        if any(outer in stateful for outer in _around(name)):
            break  # the activation inside a norm goes with the norm
        place[name] = len(levels.names)
    return place


def _around(name: str) -> Iterator[str]:
    """The modules that ``name`` lies in, the network itself left out."""
    while name := name.rpartition(".")[0]:
        yield name


def _tensor_names(model: nn.Module) -> Iterator[str]:
    yield from (name for name, _ in model.named_parameters())
    yield from (name for name, _ in model.named_buffers())


def _is_leaf(model: nn.Module, name: str) -> bool:
    return next(model.get_submodule(name).children(), None) is None


def _owned(
    tensors: Iterator[tuple[str, object]], place: dict[str, int], stage: int
) -> Iterator[str]:
    for name, _ in tensors:
        if place.get(name.rpartition(".")[0], 0) == stage:
            yield name


def _whole_modules(place: dict[str, int], stage: int) -> Iterator[str]:
    """Modules whose every descendant is in ``stage`` too."""
    mixed: set[str] = set()
    for name, where in place.items():
        if where != stage:
            parts = name.split(".")
            mixed.update(".".join(parts[:count]) for count in range(1, len(parts) + 1))
    yield from (name for name, where in place.items() if where == stage and name not in mixed)
