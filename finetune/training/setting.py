"""What stays the same through all the fits of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from finetune.console import Reporter, Silent, Task
from finetune.data.images import Kept
from finetune.data.input_spec import InputSpec
from finetune.data.loading import Reading, eval_loader, worker_count
from finetune.data.manifest import Item, Manifest
from finetune.evaluation.prediction import predict_logits
from finetune.features.body import Body, body_of
from finetune.features.extraction import features, passed
from finetune.features.form import Form
from finetune.features.frozen import FrozenOutputs, about
from finetune.features.store import FeatureStore, Shelf
from finetune.model.head import SourceHead, classifier
from finetune.model.stages import HEAD
from finetune.recipe.schema import AugmentOptions, GradientPhase, Recipe
from finetune.training.log import Log

EVAL_BATCH = 64
"""Images passed at once where nothing trains."""


@dataclass(frozen=True)
class Fit:
    """One passage through a recipe's phases.

    Attributes:
        name: ``main``, or ``fold-1``, ... for those that judge phases out-of-fold; ``race-...`` and
            the like for trainings beside them.
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

Pass = Callable[[torch.Tensor], torch.Tensor]
"""A frozen part: from images to what it makes of them."""


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
        source_head: The classifier that the weights were learnt with; None: they have none.
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
    source_head: SourceHead | None = None
    _features: dict[str, np.ndarray] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    @property
    def workers(self) -> int:
        """Processes that read images."""
        return worker_count(self.recipe.data.workers)

    @property
    def reading(self) -> Reading:
        """How pictures are read."""
        return Reading(self.spec, self.recipe.data.max_pixels, self.workers)

    def augment(self, phase: GradientPhase) -> AugmentOptions:
        """The phase's own augmentation, or the recipe's."""
        return phase.augment or self.recipe.augment

    def at(self, size: int | None) -> Setting:
        """The same with inputs of ``size`` pixels a side; None: as they are."""
        if size in (None, self.spec.size):
            return self
        return replace(self, spec=replace(self.spec, size=size), _features={})

    def say_once(self, message: str) -> None:
        """Tell something that holds for all fits, at its first occasion."""
        if message not in self._said:
            self._said.add(message)
            self.reporter.say(message)

    def labels(self, items: Sequence[Item]) -> np.ndarray:
        """Class indices, int64 ``[N]``."""
        return self.manifest.labels(items)

    def logits(
        self, model: nn.Module, items: Sequence[Item], title: str = "", kept: Kept | None = None
    ) -> np.ndarray:
        """``model``'s logits for images as prediction sees them, float32 ``[N, C]``.

        Fitted pictures that are ``kept`` are not decoded.
        """
        if not items:
            return np.empty((0, len(self.manifest.classes)), dtype=np.float32)
        return self._forward(predict_logits, model, items, title, kept)

    def live_features(self, model: nn.Module, items: Sequence[Item], title: str = "") -> np.ndarray:
        """Inputs of ``model``'s classifier, float32 ``[N, D]``."""
        return self._forward(features, model, items, title)

    def pristine_features(self, items: Sequence[Item]) -> np.ndarray:
        """Inputs of the pretrained network's classifier, ``[N, D]``; each image is passed once."""
        if not items:
            return np.empty((0, classifier(self.pristine).in_features), dtype=np.float32)
        missing = [item for item in items if item.path not in self._features]
        if missing:
            keys = [item.digest for item in missing]
            fresh = self.frozen.always(
                keys,
                lambda chosen: self.fresh_features(
                    [missing[n] for n in chosen], self.inference, "features"
                ),
            )
            rows = fresh.float().numpy()
            self._features.update(zip((item.path for item in missing), rows, strict=True))
        return np.stack([self._features[item.path] for item in items])

    @cached_property
    def frozen(self) -> FrozenOutputs:
        """The pretrained network's features, with the store behind them."""
        form = Form((classifier(self.pristine).in_features,), self.inference)
        return self.outputs(self.pristine, HEAD, form)

    def outputs(self, model: nn.Module, first: str, form: Form) -> FrozenOutputs:
        """What ``model`` makes of images before the stage ``first``, with the store behind it."""
        described = about(model, first, self.spec, self.device, self.inference)
        return FrozenOutputs(self.shelf(described), form)

    def shelf(self, described: dict[str, Any]) -> Shelf | None:
        """The store's shelf for what depends on ``described``; None: the recipe wants none."""
        store = self.recipe.store
        budget = None if store.gib == "auto" else int(store.gib * 2**30)
        return FeatureStore.usual(budget).shelf(described) if store.use else None

    def say_not_kept(self, what: str, instead: str) -> None:
        """Tell that the store can't hold ``what``, and what is done ``instead``; once."""
        store = FeatureStore.usual()
        why = "has no room for" if store.writable else f"can't be written to ({store.root}) for"
        self.say_once(f"The store {why} {what}: {instead}.")

    def eval_batches(self, items: Sequence[Item], kept: Kept | None = None) -> DataLoader[Any]:
        """Images as prediction sees them, in their order."""
        files = [self.manifest.file(item) for item in items]
        return eval_loader(files, self.reading, EVAL_BATCH, kept)

    def passed(
        self, body: Callable[[], Pass], loader: DataLoader[Any], title: str, count: int
    ) -> Iterator[torch.Tensor]:
        """What a frozen part gives for ``count`` images, in batches, told as ``title``."""
        reporter = self.reporter if title else Silent()
        with reporter.task(title, count, "images") as task:
            for rows, _ in passed(body, loader, self.device, task):
                yield rows

    def fresh_features(
        self, items: Sequence[Item], number_format: str, title: str = ""
    ) -> Iterator[torch.Tensor]:
        """What the pretrained network gives its classifier, in batches, whatever the store has."""

        def body() -> Body:
            return body_of(self.pristine, self.spec, self.device, number_format)

        return self.passed(body, self.eval_batches(items), title, len(items))

    def _forward(
        self,
        forward: Forward,
        model: nn.Module,
        items: Sequence[Item],
        title: str,
        kept: Kept | None = None,
    ) -> np.ndarray:
        loader = self.eval_batches(items, kept)
        reporter = self.reporter if title else Silent()
        with reporter.task(title, len(items), "images") as task:
            return forward(model, loader, self.spec, self.device, task, self.inference)
