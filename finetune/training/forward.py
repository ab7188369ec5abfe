"""How a phase passes images through the network: what is frozen fast, the rest as it trains."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.features.body import halves_of
from finetune.features.cutting import Uncuttable
from finetune.model.normalise import normalise
from finetune.training.freeze import FreezePlan

Forward = Callable[[torch.Tensor], torch.Tensor]
"""Logits ``[N, C]`` of images, uint8 ``[N, size, size, 3]``."""


def forward_of(
    model: nn.Module, plan: FreezePlan, spec: InputSpec, device: torch.device, number_format: str
) -> Forward:
    """The forward pass of ``model``, to which ``plan`` has been applied.

    The frozen stages are run by a folded copy that keeps nothing for the backward pass. It is made
    now: they must not change from here on, which is what frozen says. Where the network can't be
    cut at their end, all of it is passed as it is.

    Args:
        model: The network, on ``device``.
        plan: What trains.
        spec: How pictures become inputs.
        device: Where to compute.
        number_format: What the frozen stages compute in.
    """
    first = next(stage.name for stage in plan.stages if stage.name in plan.trained)
    if first == plan.stages[0].name:
        return _whole(model, spec, device)
    try:
        body, suffix = halves_of(model, first, spec, device, number_format)
    except Uncuttable:
        return _whole(model, spec, device)

    def forward(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            crossing = body(images)
        logits: torch.Tensor = suffix(crossing)
        return logits

    return forward


def _whole(model: nn.Module, spec: InputSpec, device: torch.device) -> Forward:
    def forward(images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(normalise(images, spec, device))
        return logits

    return forward
