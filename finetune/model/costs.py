"""What each stage of a network holds and computes, worked out without its weights.

Networks are made on torch's ``meta`` device: shapes without values, so that the largest takes
neither memory nor minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from finetune.errors import WeightsError
from finetune.model.building import Blueprint
from finetune.model.pretrained import Pretrained, registered_input, resized
from finetune.model.registry import registered
from finetune.model.stages import Stage, stages_of


@dataclass(frozen=True)
class StageCost:
    """What a stage holds and computes for one picture.

    Attributes:
        name: As ``train`` in a recipe takes it.
        output: Shape of what leaves it, for one picture, in the network's own order of axes; ``()``
            where that isn't one tensor or isn't known.
        parameters: Parameters in it.
        multiply_adds: Multiplications of matrix products and convolutions, each with its addition.
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


def total_parameters(costs: tuple[StageCost, ...]) -> int:
    """Parameters of all stages."""
    return sum(stage.parameters for stage in costs)


def total_multiply_adds(costs: tuple[StageCost, ...]) -> int:
    """Multiply-adds of all stages, for one picture."""
    return sum(stage.multiply_adds for stage in costs)


def stage_costs(
    architecture: str, tag: str = "", *, num_classes: int = 1000, size: int | None = None
) -> tuple[StageCost, ...]:
    """The costs of a backbone's stages, from the input to the head.

    Args:
        architecture: timm's name without a tag.
        tag: Tag of its weights: they say the input's size; ``""``: those that timm prefers.
        num_classes: Outputs of the head.
        size: Side of the input in pixels; None: what the weights were trained for.

    Raises:
        WeightsError: The network can't be adapted, can't be built, or doesn't take such pictures.
    """
    own = registered_input(registered(architecture, tag))
    start = resized(Pretrained("", architecture, tag, input=own), size)
    with torch.device("meta"):
        model = Blueprint(architecture, 0, 0.0, 0.0).build(start.model_args, num_classes)
    # The counter hangs hooks on gradients, where there are any.
    return _costs(architecture, model.eval().requires_grad_(False), size or own.size)


def _costs(architecture: str, model: nn.Module, size: int) -> tuple[StageCost, ...]:
    stages = stages_of(model)
    meter = _Meter(stages)
    pictures = torch.empty(1, 3, size, size, device="meta")
    try:
        with meter.watching(model):
            model(pictures)
    except Exception as error:  # whatever a network's own code makes of a size it doesn't take
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(
            f"{architecture} doesn't take pictures of {size} by {size} pixels: {reason}"
        ) from error
    return tuple(
        StageCost(
            stage.name,
            meter.outputs[number],
            sum(model.get_parameter(name).numel() for name in stage.parameters),
            meter.counts[number],
        )
        for number, stage in enumerate(stages)
    )


class _Meter:
    """Counts by stage while a network runs: what is computed belongs to the last stage entered.

    So what a network does between its modules, such as adding positions, counts too.
    """

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.counts = [0] * len(stages)
        self.outputs: list[tuple[int, ...]] = [()] * len(stages)
        self._stages = stages
        self._current = 0
        self._counted = 0
        self._counter = FlopCounterMode(display=False)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        hooks = list(self._hooks(model))
        try:
            with self._counter:
                yield
        finally:
            for hook in hooks:
                hook.remove()
        self._settle()

    def _hooks(self, model: nn.Module) -> Iterator[Any]:
        for number, stage in enumerate(self._stages):
            for name in stage.modules:
                module = model.get_submodule(name)
                yield module.register_forward_pre_hook(lambda *_, at=number: self._enter(at))
            if stage.output:
                ends = model.get_submodule(stage.output)
                yield ends.register_forward_hook(lambda *ran, at=number: self._leave(ran[-1], at))

    def _enter(self, number: int) -> None:
        self._settle()
        self._current = number

    def _leave(self, output: object, number: int) -> None:
        if isinstance(output, torch.Tensor):
            self.outputs[number] = tuple(output.shape[1:])

    def _settle(self) -> None:
        """Put down to the current stage what was computed since the last time."""
        counted = self._counter.get_total_flops() // 2  # it counts the addition too
        self.counts[self._current] += counted - self._counted
        self._counted = counted
