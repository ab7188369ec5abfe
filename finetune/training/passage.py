"""How a phase's images reach what trains, and what it says of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from finetune.data.batches import TrainBatches
from finetune.data.loading import train_loader
from finetune.data.manifest import Item
from finetune.errors import DeviceError
from finetune.features.body import Halves, halves_of
from finetune.features.cutting import Uncuttable
from finetune.features.views import stored_loader
from finetune.model.normalise import normalise
from finetune.recipe.schema import AugmentOptions, GradientPhase
from finetune.training.freeze import FreezePlan
from finetune.training.length import epochs_begun
from finetune.training.pictures import pictures_of
from finetune.training.sampling import turns_of, views_of
from finetune.training.setting import Fit, Setting
from finetune.training.stored import StoredPart

Forward = Callable[[torch.Tensor], torch.Tensor]
"""Logits ``[N, C]`` of what a batch holds: images, or what crosses into the stages that train."""


@dataclass(frozen=True)
class Passage:
    """The way of images through a network of which some stages train.

    Attributes:
        loader: The phase's batches, epoch by epoch.
        pass_through: Logits of a batch's inputs, with gradients for what trains.
        logits: Logits ``[N, C]`` of images as prediction gives them.
    """

    loader: DataLoader[Any]
    pass_through: Forward
    logits: Callable[[Sequence[Item]], np.ndarray]


def passage_of(
    setting: Setting,
    fit: Fit,
    model: nn.Module,
    plan: FreezePlan,
    phase: GradientPhase,
    position: int,
    first_epoch: int = 0,
    first_batch: int = 0,
) -> Passage:
    """The way of ``fit``'s images through ``model``, to which ``plan`` has been applied.

    What the frozen stages make of the images is computed once and kept, and only the rest is run
    in each epoch. Where the store has no room, the frozen stages are run in each epoch, on the same
    views; they are a folded copy that keeps nothing for the backward pass. The copy is made now:
    they must not change from here on, which is what frozen says. Where the network can't be cut
    at their end, all of it is passed as it is.
    """
    halves = halves_where_training_begins(setting, model, plan)
    stored = StoredPart.of(setting, model, halves) if halves else None
    if stored is not None:
        rows = stored.views(fit.train, phase)
        if rows is not None:
            order = (phase.batch_size, setting.recipe.seed, position, first_epoch, first_batch)
            turns = turns_of(phase, setting.labels(fit.train))
            batches = TrainBatches(len(fit.train), *order, turns)
            through = _compiled(setting, stored_forward(setting, stored.halves))
            return Passage(stored_loader(rows, batches), through, stored.logits)
    loader = live_loader(setting, fit.train, plan, phase, position, first_epoch, first_batch)
    through = _compiled(setting, live_forward(setting, model, halves))
    return Passage(loader, through, _live_logits(setting, model, phase, fit))


def halves_where_training_begins(
    setting: Setting, model: nn.Module, plan: FreezePlan
) -> Halves | None:
    """The network cut before the first stage that trains; None: all of it is passed."""
    first = next(stage.name for stage in plan.stages if stage.name in plan.trained)
    if first == plan.stages[0].name:
        return None
    try:
        return halves_of(model, first, setting.spec, setting.device, setting.inference)
    except Uncuttable as error:
        setting.say_once(
            f"This network can't be cut before {first} ({error}): its frozen stages are run in "
            "every epoch."
        )
        return None


def live_loader(
    setting: Setting,
    items: Sequence[Item],
    plan: FreezePlan,
    phase: GradientPhase,
    position: int,
    first_epoch: int = 0,
    first_batch: int = 0,
    *,
    keep: bool = True,
) -> DataLoader[Any]:
    """Augmented pictures; ``keep``: decoded pictures are kept from epoch to epoch."""
    options, labels = setting.augment(phase), setting.labels(items)
    frozen = len(plan.trained) < len(plan.stages)
    again = keep and epochs_begun(phase, len(items)) > 1
    return train_loader(
        setting.manifest,
        items,
        setting.spec,
        options,
        setting.recipe.seed,
        position,
        phase.batch_size,
        setting.workers,
        setting.recipe.data.max_pixels,
        first_epoch=first_epoch,
        first_batch=first_batch,
        views=views_of(phase, options, labels) if frozen else None,
        kept=pictures_of(setting, items, options) if again else None,
        turns=turns_of(phase, labels),
    )


def live_forward(setting: Setting, model: nn.Module, halves: Halves | None) -> Forward:
    """All of the network, its frozen part as a fast copy where it was cut."""

    def whole(images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(normalise(images, setting.spec, setting.device))
        return logits

    def in_two(images: torch.Tensor) -> torch.Tensor:
        assert halves is not None
        with torch.no_grad(), torch.autocast(setting.device.type, enabled=False):
            crossing = halves.body(images)
        # A network that is passed whole keeps what runs past its blocks in float32 too.
        logits: torch.Tensor = halves.suffix(crossing.float())
        return logits

    return in_two if halves else whole


def stored_forward(setting: Setting, halves: Halves) -> Forward:
    """What trains, alone."""

    def forward(crossing: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = halves.suffix(crossing.to(setting.device).float())
        return logits

    return forward


def _live_logits(
    setting: Setting, model: nn.Module, phase: GradientPhase, fit: Fit
) -> Callable[[Sequence[Item]], np.ndarray]:
    """All of the network's; pictures that each epoch's end scores are kept as they are fitted."""
    again = fit.monitor and epochs_begun(phase, len(fit.train)) > 1
    fitted = AugmentOptions.model_validate({"policy": "none"})
    kept = pictures_of(setting, fit.monitor, fitted) if again else None

    def logits(items: Sequence[Item]) -> np.ndarray:
        return setting.logits(model, items, kept=kept if items is fit.monitor else None)

    return logits


def _compiled(setting: Setting, forward: Forward) -> Forward:
    """``forward`` compiled, if the recipe wants that."""
    if not setting.recipe.compile:
        return forward
    from torch._dynamo.exc import TorchDynamoException  # takes seconds to import

    compiled: Forward = torch.compile(forward)

    def guarded(inputs: torch.Tensor) -> torch.Tensor:
        try:
            return compiled(inputs)
        except TorchDynamoException as error:
            first = str(error).strip().splitlines()[0][:200]
            raise DeviceError(
                f"what trains can't be compiled: {first}",
                mend="Install a C++ compiler, or leave it as it is: --set compile=false",
            ) from error

    return guarded
