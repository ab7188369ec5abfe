"""What a phase trains, and the proof that the rest did not move.

A frozen stage is in evaluation mode throughout: no dropout acts, no BatchNorm statistic moves, and
training and evaluation compute the same function of it. For BatchNorm in a stage that trains, the
phase says which of its parts learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.errors import FrozenTensorsMoved
from finetune.model.fingerprint import digest
from finetune.model.stages import Stage, stages_of, trained


@dataclass(frozen=True)
class FreezePlan:
    """Which stages of a network train in a phase.

    Attributes:
        stages: All stages, from the input to the head.
        trained: The names of those that train: a suffix of ``stages``.
        batch_norm: ``train``, ``frozen`` or ``locked``, for the stages that train.
    """

    stages: tuple[Stage, ...]
    trained: frozenset[str]
    batch_norm: str

    @classmethod
    def of(cls, model: nn.Module, train: str, batch_norm: str) -> FreezePlan:
        """The plan for ``train`` (``head``, ``last_N``, a stage's name or ``all``).

        Raises:
            RecipeError: The model has no such stage.
        """
        stages = stages_of(model)
        return cls(stages, frozenset(stage.name for stage in trained(stages, train)), batch_norm)

    def apply(self, model: nn.Module) -> None:
        """Say of each parameter whether it trains, and set the modes of `set_modes`."""
        for stage in self.stages:
            for name in stage.parameters:
                model.get_parameter(name).requires_grad_(stage.name in self.trained)
        if self.batch_norm == "locked":
            for norm in self.norms(model):
                for parameter in norm.parameters(recurse=False):
                    parameter.requires_grad_(False)
        self.set_modes(model)

    def set_modes(self, model: nn.Module) -> None:
        """Training mode where the plan trains, evaluation mode elsewhere.

        ``model.train()`` turns everything to training, so this has to follow each call of it.
        """
        model.train()
        for stage in self.stages:
            if stage.name not in self.trained:
                for name in stage.modules:
                    model.get_submodule(name).eval()
        if self.batch_norm != "train":
            for norm in self.norms(model):
                norm.eval()

    def frozen_tensors(self, model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
        """Every parameter and buffer that must not move, by name."""
        for stage in self.stages:
            if stage.name not in self.trained:
                yield from ((name, model.get_parameter(name)) for name in stage.parameters)
                yield from ((name, model.get_buffer(name)) for name in stage.buffers)
            elif self.batch_norm != "train":
                yield from _norm_tensors(model, stage, whole=self.batch_norm == "locked")

    def moving(self, model: nn.Module) -> dict[str, torch.Tensor]:
        """The rest of the model's state, by name: all that a phase can change."""
        frozen = {name for name, _ in self.frozen_tensors(model)}
        return {name: t for name, t in model.state_dict().items() if name not in frozen}

    def norms(self, model: nn.Module) -> Iterator[_BatchNorm]:
        """BatchNorm layers of the stages that train; timm's fused ones are among their kind."""
        for stage in self.stages:
            if stage.name in self.trained:
                for name in stage.modules:
                    module = model.get_submodule(name)
                    if isinstance(module, _BatchNorm):
                        yield module


def _norm_tensors(
    model: nn.Module, stage: Stage, *, whole: bool
) -> Iterator[tuple[str, torch.Tensor]]:
    for name in stage.modules:
        module = model.get_submodule(name)
        if isinstance(module, _BatchNorm):
            yield from ((f"{name}.{key}", value) for key, value in module.named_buffers())
            if whole:
                yield from ((f"{name}.{key}", value) for key, value in module.named_parameters())


def prove_frozen(plan: FreezePlan, model: nn.Module, before: str) -> str:
    """The digest of the frozen tensors, which must be ``before``, taken ahead of the phase.

    Raises:
        FrozenTensorsMoved: It is not.
    """
    after = digest(plan.frozen_tensors(model))
    if after != before:
        raise FrozenTensorsMoved(
            f"tensors of frozen stages moved: digest {before[:12]} became {after[:12]}"
        )
    return after


@dataclass(frozen=True)
class StageRow:
    """A line of the freeze table.

    Attributes:
        stage: Its name.
        parameters: Parameters in it.
        trained: Those of them that train in this phase.
        batch_norm: What its BatchNorm does, or ``""`` if it has none.
        lr: Peak learning rate, or None where nothing trains by gradient.
    """

    stage: str
    parameters: int
    trained: int
    batch_norm: str
    lr: float | None


def freeze_table(
    plan: FreezePlan, model: nn.Module, rates: dict[str, float] | None
) -> list[StageRow]:
    """A row per stage for a plan that has been applied to ``model``; ``rates`` by stage name."""
    return [_stage_row(plan, stage, model, rates) for stage in plan.stages]


def _stage_row(
    plan: FreezePlan, stage: Stage, model: nn.Module, rates: dict[str, float] | None
) -> StageRow:
    parameters = [model.get_parameter(name) for name in stage.parameters]
    trains = stage.name in plan.trained
    norms = any(isinstance(model.get_submodule(name), _BatchNorm) for name in stage.modules)
    return StageRow(
        stage=stage.name,
        parameters=sum(parameter.numel() for parameter in parameters),
        trained=sum(p.numel() for p in parameters if p.requires_grad) if trains else 0,
        batch_norm=("" if not norms else plan.batch_norm if trains else "locked"),
        lr=rates[stage.name] if rates is not None and trains else None,
    )
