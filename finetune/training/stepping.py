"""The steps of a phase: gradients that are the mean over a step's images, then the optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.data.loaders import Batch
from finetune.data.manifest import Item
from finetune.data.transfer import to_device
from finetune.features.views import StoredBatch
from finetune.model.autocast import bfloat16_where_fast
from finetune.model.device import free_memory, is_out_of_memory, not_enough_memory
from finetune.training.anchoring import Anchor
from finetune.training.balance import class_counts
from finetune.training.co_tuning import CoTuning
from finetune.training.criterion import Criterion
from finetune.training.mixing import Targets, draw_mix, mixed
from finetune.training.optimisers import build_optimizer
from finetune.training.passage import Forward
from finetune.training.remedies import less_memory
from finetune.training.schedules import Factor
from finetune.training.seeding import seed_of
from finetune.training.setting import Setting
from finetune.training.trainee import Trainee

BFLOAT16 = "bfloat16"

_Before = tuple[list[torch.Tensor | None], list[torch.Tensor]]


class Stepper:
    """Adds up a step's gradient batch by batch, and steps.

    A batch that doesn't fit the memory is passed in parts from then on. The gradient is the same
    but for what dropout draws, and where BatchNorm learns, which then does so from each part.

    Args:
        trainee: The network, whose own parameters are trained, and how.
        pass_through: From a batch's inputs to the network's logits.
        criterion: What is brought down.
        device: Where to compute.
        number_format: What the forward pass computes in, ``float32`` or ``bfloat16``.
        factor: The learning rate's schedule.
        mend: What to tell the user where not even one image fits.
        tell: Is told of a batch that didn't fit.
        anchor: What holds the backbone near its pretrained weights, if anything does.
        co_tuning: What learns beside the network's own head, if anything does; ``pass_through``
            gives its logits too.

    Attributes:
        optimizer: The phase's.
        most: Images that are passed at once at most; a batch of more is cut.
    """

    def __init__(
        self,
        trainee: Trainee,
        pass_through: Forward,
        criterion: Criterion,
        device: torch.device,
        number_format: str,
        factor: Factor,
        mend: str,
        tell: Callable[[str], None],
        anchor: Anchor | None = None,
        co_tuning: CoTuning | None = None,
    ) -> None:
        model, phase = trainee.model, trainee.phase
        self.phase = phase
        self.pass_through = pass_through
        self.criterion = co_tuning.beside(criterion) if co_tuning else criterion
        self.device = device
        self.factor = factor
        self.mend = mend
        self.tell = tell
        self.anchor = anchor
        self.co_tuning = co_tuning
        source = co_tuning.source if co_tuning else None
        self.optimizer = build_optimizer(model, trainee.plan, phase, source)
        self.most = phase.batch_size + 1  # one image left over joins the batch before it
        self._half = number_format == BFLOAT16
        self._learning = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._peaks = [group["lr"] for group in self.optimizer.param_groups]
        self._moving = _moving_statistics(model)
        # BatchNorm can't learn from one image.
        self._least = 2 if self._moving else 1

    def add(self, batch: Batch | StoredBatch, images: int, *place: int | str) -> torch.Tensor:
        """Add a batch's share to the gradient of a step over ``images`` images.

        Args:
            batch: Some of the step's images.
            images: All of them, over all its batches.
            place: What torch draws is a function of this and of the part of the batch.

        Returns:
            The sum of the batch's losses, on the device.

        Raises:
            DeviceError: Not even parts of one image fit the memory.
        """
        before = self._set_aside()
        outcome = self._attempt(batch, images, place)
        while isinstance(outcome, str):
            self._begin_again(before)
            self._cut_finer(len(batch.labels), outcome)
            outcome = self._attempt(batch, images, place)
        self._bring_back(before)
        return outcome

    def split(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """A batch's inputs in the parts that the memory has had room for."""
        return inputs.tensor_split(self._parts(len(inputs)))

    def step(self, number: int) -> None:
        """The phase's step ``number``, from 0, along the gradient that was added up."""
        factor = self.factor(number)
        for group, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        if self.anchor:
            self.anchor.pull()
        if self.phase.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._learning, self.phase.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _attempt(
        self, batch: Batch | StoredBatch, images: int, place: tuple[int | str, ...]
    ) -> torch.Tensor | str:
        """The sum of the batch's losses, or what the allocator said where it doesn't fit."""
        try:
            return self._pass(batch, images, place)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # Its words alone: the error's traceback holds what fills the memory.
            return str(error) or type(error).__name__

    def _pass(
        self, batch: Batch | StoredBatch, images: int, place: tuple[int | str, ...]
    ) -> torch.Tensor:
        parts = self._parts(len(batch.labels))
        total = torch.zeros((), device=self.device)
        inputs, targets = self._entered(batch, parts, place)
        cut = zip(inputs.tensor_split(parts), targets.split(parts), strict=True)
        for number, (part, wanted) in enumerate(cut):
            torch.manual_seed(seed_of(*place, number))
            with self._arithmetic():
                logits = self.pass_through.leave(part)
            loss = wanted.losses(self.criterion, logits.float()).sum()
            torch.autograd.backward(loss / images)
            # On the device: to fetch it here would make a GPU wait in every step.
            total += loss.detach()
        return total

    def _arithmetic(self) -> AbstractContextManager[None]:
        if self._half:
            return bfloat16_where_fast(self.device)
        return torch.autocast(self.device.type, enabled=False)

    def _entered(
        self, batch: Batch | StoredBatch, parts: int, place: tuple[int | str, ...]
    ) -> tuple[torch.Tensor, Targets]:
        """What the stages that train take of a whole batch, so that parts don't change its mix."""
        entered = [self.pass_through.enter(part) for part in batch.inputs.tensor_split(parts)]
        inputs = torch.cat(entered) if parts > 1 else entered[0]
        labels = to_device(batch.labels, self.device)
        return mixed(draw_mix(self.phase, len(labels), *place), inputs, labels)

    def _parts(self, images: int) -> int:
        """How many parts a batch of ``images`` is passed in."""
        return max(1, min(math.ceil(images / self.most), images // self._least))

    def _cut_finer(self, images: int, found: str) -> None:
        parts = self._parts(images)
        self.most = math.ceil(math.ceil(images / parts) / 2)
        finer = self._parts(images)
        if finer == parts:
            raise not_enough_memory(found, self.mend)
        self.tell(
            f"phase {self.phase.name}: a batch of {images} doesn't fit the memory; from now on it "
            f"is passed in {finer} parts of {math.ceil(images / finer)}"
            + (", and BatchNorm learns from each part" if self._moving else "")
        )

    def _set_aside(self) -> _Before:
        """What a batch that doesn't fit must not change."""
        gradients = []
        if self._learning[0].grad is not None:  # not the step's first batch
            gradients = [parameter.grad for parameter in self._learning]
            self.optimizer.zero_grad()
        return gradients, [tensor.clone() for tensor in self._moving]

    def _begin_again(self, before: _Before) -> None:
        self.optimizer.zero_grad()
        for tensor, was in zip(self._moving, before[1], strict=True):
            tensor.copy_(was)
        free_memory(self.device)

    def _bring_back(self, before: _Before) -> None:
        """Add the gradients of the step's earlier batches."""
        if not before[0]:
            return
        for parameter, earlier in zip(self._learning, before[0], strict=True):
            if parameter.grad is None:
                parameter.grad = earlier
            elif earlier is not None:
                parameter.grad += earlier


def _moving_statistics(model: nn.Module) -> list[torch.Tensor]:
    """The buffers of BatchNorm layers that learn theirs from what passes."""
    norms = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return [buffer for norm in norms if norm.training for buffer in norm.buffers(recurse=False)]


def stepper_for(
    setting: Setting,
    items: Sequence[Item],
    trainee: Trainee,
    pass_through: Forward,
    factor: Factor,
    tell: Callable[[str], None],
    co_tuning: CoTuning | None = None,
) -> Stepper:
    """A `Stepper` for a phase over ``items``."""
    model, plan, phase = trainee.model, trainee.plan, trainee.phase
    counts = class_counts(setting.labels(items), len(setting.manifest.classes))
    return Stepper(
        trainee,
        pass_through,
        Criterion.of(phase, counts, setting.device),
        setting.device,
        setting.precision,
        factor,
        less_memory(phase, setting.spec.size),
        tell,
        Anchor.of(setting.pristine, model, plan, phase),
        co_tuning,
    )
