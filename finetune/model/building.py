"""Makes a timm network with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.layers import DropPath
from torch import nn

from finetune.errors import WeightsError
from finetune.model.head import classifier
from finetune.model.pretrained import Scalar


@dataclass(frozen=True)
class Blueprint:
    """All that determines a network but its options and its number of classes.

    Attributes:
        architecture: timm's name without a tag.
        seed: Its weights are a function of it.
        dropout: Share of the head's inputs that are dropped in training.
        drop_path: Share of residual branches that are dropped in training.
    """

    architecture: str
    seed: int
    dropout: float
    drop_path: float

    def build(self, model_args: Mapping[str, Scalar], num_classes: int) -> nn.Module:
        """The network, on the CPU; torch's own generator isn't moved.

        Raises:
            WeightsError: The network doesn't take these options, has no residual branches to
                drop, or has not one linear classifier.
        """
        options: dict[str, Any] = {**model_args, "drop_rate": self.dropout}
        if self.drop_path:
            options["drop_path_rate"] = self.drop_path
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = _create(self.architecture, num_classes, options)
        classifier(model)
        if self.drop_path and not _drops_paths(model):
            raise self._without_branches()
        return model

    def _without_branches(self) -> WeightsError:
        return WeightsError(
            f"{self.architecture} has no residual branches to drop",
            where="model.drop_path",
            mend="Set model.drop_path to 0, or take another backbone.",
        )


def _create(architecture: str, num_classes: int, options: Mapping[str, Any]) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(
            architecture, pretrained=False, num_classes=num_classes, **options
        )
    except Exception as error:  # networks check their options by TypeError, assert, and others
        told = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise WeightsError(
            f"{architecture} can't be built with {told}: {str(error)[:200]}",
            mend="Look at model.drop_path, input.size and the metadata of the weights.",
        ) from error
    return model


def _drops_paths(model: nn.Module) -> bool:
    """Whether a residual branch is dropped; blocks that skip nothing never ask their DropPath."""
    return any(
        isinstance(child, DropPath) and child.drop_prob
        for module in model.modules()
        if getattr(module, "has_skip", True)
        for child in module.children()
    )
