"""What stays the same through all the fits of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from finetune.console import Reporter, Silent, Task
from finetune.data.input_spec import InputSpec
from finetune.data.loading import eval_loader, worker_count
from finetune.data.manifest import Item, Manifest
from finetune.evaluation.prediction import predict_logits
from finetune.features.extraction import features
from finetune.features.frozen import FrozenFeatures, about, form_of
from finetune.features.store import FeatureStore
from finetune.model.head import classifier
from finetune.recipe.schema import AugmentOptions, GradientPhase, Recipe
from finetune.training.log import Log

_EVAL_BATCH = 64


@dataclass(frozen=True)
class Fit:
    """One passage through a recipe's phases.

    Attributes:
        name: ``main``, or ``fold-1``, ... for those that judge phases out-of-fold.
        train: What is learnt from.
        judged: What each phase's end is judged on.
        monitor: What is scored after each epoch, and watched by early stopping.
    """

    name: str
    train: Sequence[Item]
    judged: Sequence[Item]
    monitor: Sequence[Item]


Forward = Callable[[nn.Module, DataLoader[Any], InputSpec, torch.device, Task, str], np.ndarray]
"""A pass of a network over all the images of a loader, giving a row for each."""


@dataclass(frozen=True)
class Setting:
    """What the fits of a run share.

    Attributes:
        recipe: What to do.
        manifest: What to learn from.
        spec: How pictures become inputs.
        pristine: The pretrained network with its new head; copied, never trained.
        device: Where to compute.
        precision: Arithmetic of gradient phases, ``float32`` or ``bfloat16``.
        inference: Arithmetic of networks that only predict, likewise.
        checkpoints: Where finished phases leave their results.
        log: Where epochs are logged.
        reporter: Who is told.
    """

    recipe: Recipe
    manifest: Manifest
    spec: InputSpec
    pristine: nn.Module
    device: torch.device
    precision: str
    inference: str
    checkpoints: Path
    log: Log
    reporter: Reporter
    _features: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def workers(self) -> int:
        """Processes that read images."""
        return worker_count(self.recipe.data.workers)

    def augment(self, phase: GradientPhase) -> AugmentOptions:
        """The phase's own augmentation, or the recipe's."""
        return phase.augment or self.recipe.augment

    def labels(self, items: Sequence[Item]) -> np.ndarray:
        """Class indices, int64 ``[N]``."""
        return self.manifest.labels(items)

    def logits(self, model: nn.Module, items: Sequence[Item], title: str = "") -> np.ndarray:
        """``model``'s logits for images as prediction sees them, float32 ``[N, C]``."""
        if not items:
            return np.empty((0, len(self.manifest.classes)), dtype=np.float32)
        return self._forward(predict_logits, model, items, title)

    def live_features(self, model: nn.Module, items: Sequence[Item], title: str = "") -> np.ndarray:
        """Inputs of ``model``'s classifier, float32 ``[N, D]``."""
        return self._forward(features, model, items, title)

    def pristine_features(self, items: Sequence[Item]) -> np.ndarray:
        """Inputs of the pretrained network's classifier, ``[N, D]``; each image is passed once."""
        if not items:
            return np.empty((0, classifier(self.pristine).in_features), dtype=np.float32)
        missing = [item for item in items if item.path not in self._features]
        if missing:
            fresh = self.frozen.of(missing)
            self._features.update(zip((item.path for item in missing), fresh, strict=True))
        return np.stack([self._features[item.path] for item in items])

    @cached_property
    def frozen(self) -> FrozenFeatures:
        """The pretrained network's features, with the store behind them."""
        store = self.recipe.store
        budget = None if store.gib == "auto" else int(store.gib * 2**30)
        described = about(self.pristine, self.spec, self.device, self.inference)
        return FrozenFeatures(
            FeatureStore.usual(budget).shelf(described) if store.use else None,
            form_of(classifier(self.pristine).in_features, self.inference),
            lambda items: self.live_features(self.pristine, items, "features"),
        )

    def _forward(
        self, forward: Forward, model: nn.Module, items: Sequence[Item], title: str
    ) -> np.ndarray:
        loader = eval_loader(
            [self.manifest.file(item) for item in items],
            self.spec,
            _EVAL_BATCH,
            self.workers,
            self.recipe.data.max_pixels,
        )
        reporter = self.reporter if title else Silent()
        with reporter.task(title, len(items), "images") as task:
            return forward(model, loader, self.spec, self.device, task, self.inference)
