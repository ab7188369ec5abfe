"""How a phase's images reach what trains, and what it says of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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
from finetune.features.views import StoredViews, stored_loader
from finetune.model.normalise import normalise
from finetune.model.precision import full_precision
from finetune.recipe.schema import AugmentOptions
from finetune.training.co_tuning import CoTuning
from finetune.training.length import epochs_begun
from finetune.training.pictures import pictures_of
from finetune.training.sampling import turns_of, views_of
from finetune.training.setting import Fit, Setting
from finetune.training.stored import StoredPart
from finetune.training.trainee import Trainee

Pass = Callable[[torch.Tensor], torch.Tensor]
"""From tensors ``[N, ...]`` to others, image by image."""


@dataclass(frozen=True)
class Forward:
    """From what a batch holds, images or what frozen stages made of them, to logits ``[N, C]``.

    Attributes:
        enter: To what the stages that train take, without gradients.
        leave: From there to the logits.
    """

    enter: Pass
    leave: Pass

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Both."""
        return self.leave(self.enter(inputs))


@dataclass(frozen=True)
class Passage:
    """The way of images through a network of which some stages train.

    Attributes:
        loader: The phase's batches, epoch by epoch.
        pass_through: Logits of a batch's inputs, with gradients for what trains.
        logits: Logits ``[N, C]`` of images as prediction gives them.
        epoch: The batches of an epoch, from 0, once more.
        co_tuning: What learns beside the network's own head, if anything does: behind the logits
            of ``pass_through`` come those of its head then, ``[N, C + S]``.
    """

    loader: DataLoader[Any]
    pass_through: Forward
    logits: Callable[[Sequence[Item]], np.ndarray]
    epoch: Callable[[int], DataLoader[Any]]
    co_tuning: CoTuning | None = None


def passage_of(
    setting: Setting,
    fit: Fit,
    trainee: Trainee,
    first_epoch: int = 0,
    first_batch: int = 0,
    co_tuning: CoTuning | None = None,
) -> Passage:
    """The way of ``fit``'s images through the network.

    What the frozen stages make of the images is computed once and kept, and only the rest is run
    in each epoch. Where the store has no room, the frozen stages are run in each epoch, on the same
    views; they are a folded copy that keeps nothing for the backward pass. The copy is made now:
    they must not change from here on, which is what frozen says. Where the network can't be cut
    at their end, all of it is passed as it is.
    """
    model, halves = trainee.model, halves_where_training_begins(setting, trainee)
    stored = StoredPart.of(setting, model, halves) if halves else None
    if stored is not None:
        rows = stored.views(fit.train, trainee.phase)
        if rows is not None:
            from_rows = _stored_batches(setting, rows, fit, trainee)
            loader = from_rows(first_epoch, first_batch)
            own = stored_forward(setting, stored.halves)
            through = _compiled(setting, _with_source(setting, model, own, halves, co_tuning))
            return Passage(loader, through, stored.logits, from_rows, co_tuning)
    live = partial(live_loader, setting, fit.train, trainee)
    own = live_forward(setting, model, halves)
    through = _compiled(setting, _with_source(setting, model, own, halves, co_tuning))
    loader = live(first_epoch, first_batch)
    return Passage(loader, through, _live_logits(setting, trainee, fit), live, co_tuning)


def _stored_batches(
    setting: Setting, rows: StoredViews, fit: Fit, trainee: Trainee
) -> Callable[..., DataLoader[Any]]:
    """Loaders of stored views that begin at an epoch and, within it, at a batch."""
    labels = setting.labels(fit.train)

    def loader(first_epoch: int, first_batch: int = 0) -> DataLoader[Any]:
        return stored_loader(rows, _batches(setting, trainee, labels, first_epoch, first_batch))

    return loader


def _batches(
    setting: Setting, trainee: Trainee, labels: np.ndarray, first_epoch: int, first_batch: int
) -> TrainBatches:
    """Which images make which batch of a phase."""
    phase, seed = trainee.phase, setting.recipe.seed
    place = (trainee.position, first_epoch, first_batch)
    return TrainBatches(len(labels), phase.batch_size, seed, *place, turns_of(phase, labels))


def halves_where_training_begins(setting: Setting, trainee: Trainee) -> Halves | None:
    """The network cut before the first stage that trains; None: all of it is passed."""
    plan = trainee.plan
    first = next(stage.name for stage in plan.stages if stage.name in plan.trained)
    if first == plan.stages[0].name:
        return None
    try:
        return halves_of(trainee.model, first, setting.spec, setting.device, setting.inference)
    except Uncuttable as error:
        setting.say_once(
            f"This network can't be cut before {first} ({error}): its frozen stages are run in "
            "every epoch."
        )
        return None


def live_loader(
    setting: Setting,
    items: Sequence[Item],
    trainee: Trainee,
    first_epoch: int = 0,
    first_batch: int = 0,
    *,
    keep: bool = True,
) -> DataLoader[Any]:
    """Augmented pictures; ``keep``: decoded pictures are kept from epoch to epoch."""
    phase, plan = trainee.phase, trainee.plan
    options, labels = setting.augment(phase), setting.labels(items)
    frozen = len(plan.trained) < len(plan.stages)
    again = keep and epochs_begun(phase, len(items)) > 1
    return train_loader(
        setting.manifest,
        items,
        setting.reading,
        options,
        _batches(setting, trainee, labels, first_epoch, first_batch),
        views=views_of(phase, options, labels) if frozen else None,
        kept=pictures_of(setting, items, options) if again else None,
    )


def live_forward(setting: Setting, model: nn.Module, halves: Halves | None) -> Forward:
    """All of the network, its frozen part as a fast copy where it was cut."""

    def pixels(images: torch.Tensor) -> torch.Tensor:
        return normalise(images, setting.spec, setting.device)

    def crossing(images: torch.Tensor) -> torch.Tensor:
        assert halves is not None
        # As what is stored is computed: nothing hangs on whether there was room.
        exact = full_precision(setting.device)
        with exact, torch.no_grad(), torch.autocast(setting.device.type, enabled=False):
            # A network that is passed whole keeps what runs past its blocks in float32 too.
            return halves.body(images).float()

    return Forward(crossing, halves.suffix) if halves else Forward(pixels, model)


def stored_forward(setting: Setting, halves: Halves) -> Forward:
    """What trains, alone."""

    def enter(crossing: torch.Tensor) -> torch.Tensor:
        return crossing.to(setting.device).float()

    return Forward(enter, halves.suffix)


def _with_source(
    setting: Setting,
    model: nn.Module,
    own: Forward,
    halves: Halves | None,
    co_tuning: CoTuning | None,
) -> Forward:
    """``own`` with the logits of the source head behind its own, if one learns."""
    if co_tuning is None:
        return own
    first = halves.first if halves else None
    return Forward(own.enter, co_tuning.both_heads(model, first, setting.spec.size))


def _live_logits(
    setting: Setting, trainee: Trainee, fit: Fit
) -> Callable[[Sequence[Item]], np.ndarray]:
    """All of the network's; pictures that are scored more than once are kept as they are fitted."""
    phase = trainee.phase
    again = fit.monitor and (epochs_begun(phase, len(fit.train)) > 1 or phase.interpolate)
    fitted = AugmentOptions.model_validate({"policy": "none"})
    kept = pictures_of(setting, fit.monitor, fitted) if again else None

    def logits(items: Sequence[Item]) -> np.ndarray:
        return setting.logits(trainee.model, items, kept=kept if items is fit.monitor else None)

    return logits


def _compiled(setting: Setting, forward: Forward) -> Forward:
    """``forward`` with what trains in it compiled, if the recipe wants that."""
    if not setting.recipe.compile:
        return forward
    from torch._dynamo.exc import TorchDynamoException  # takes seconds to import

    compiled: Pass = torch.compile(forward.leave)

    def guarded(inputs: torch.Tensor) -> torch.Tensor:
        try:
            return compiled(inputs)
        except TorchDynamoException as error:
            first = str(error).strip().splitlines()[0][:200]
            raise DeviceError(
                f"what trains can't be compiled: {first}",
                mend="Install a C++ compiler, or leave it as it is: --set compile=false",
            ) from error

    return Forward(forward.enter, guarded)
