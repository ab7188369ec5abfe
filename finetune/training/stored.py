"""A phase's frozen part, whose outputs are in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from finetune.data.loading import view_loader
from finetune.data.manifest import Item
from finetune.data.randomness import sample_key
from finetune.evaluation.prediction import answers
from finetune.features.body import Halves, Tail, halves_of
from finetune.features.form import Form
from finetune.features.frozen import FrozenOutputs
from finetune.features.segments import Row
from finetune.features.views import StoredViews
from finetune.model.precision import full_precision
from finetune.model.stages import HEAD
from finetune.recipe.schema import AugmentOptions, GradientPhase
from finetune.text import byte_size
from finetune.training.sampling import shown_views
from finetune.training.setting import EVAL_BATCH, Pass, Setting

if TYPE_CHECKING:
    from finetune.data.transforms import Augmentation


@dataclass(frozen=True)
class StoredPart:
    """The frozen stages of a phase, and the store that holds what they made.

    Attributes:
        setting: What the run's fits share.
        model: The network.
        halves: It, cut where training begins.
        outputs: What crosses the cut.
    """

    setting: Setting
    model: nn.Module
    halves: Halves
    outputs: FrozenOutputs
    _scored: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def of(cls, setting: Setting, model: nn.Module, halves: Halves) -> StoredPart:
        """The part before the cut of ``model``."""
        form = _form(halves, setting)
        return cls(setting, model, halves, setting.outputs(model, halves.first, form))

    @classmethod
    def before_the_head(cls, setting: Setting, model: nn.Module) -> StoredPart:
        """All of ``model`` but its classifier."""
        spec, device = setting.spec, setting.device
        return cls.of(setting, model, halves_of(model, HEAD, spec, device, setting.inference))

    def views(self, items: Sequence[Item], phase: GradientPhase) -> StoredViews | None:
        """The views that ``phase`` shows of ``items``; None where the store has no room."""
        shown = self._shown(items, phase)

        def compute(chosen: list[int]) -> Iterator[torch.Tensor]:
            views = [shown[number][0] for number in chosen]
            return self._passed_views(items, self.setting.augment(phase), views)

        names = [name for _, name in shown]
        rows = self.outputs.stored(names, compute) if self.has_room(items, phase) else None
        if rows is None:
            self._tell_no_room(len(set(names)))
            return None
        keys: list[list[str]] = [[] for _ in items]
        for (position, _), name in shown:
            keys[position].append(name)
        return StoredViews(rows, keys, self.setting.labels(items), self.outputs.form)

    def has_room(self, items: Sequence[Item], phase: GradientPhase) -> bool:
        """Whether what ``phase`` shows of ``items`` can be in the store."""
        return self.outputs.fits(len({name for _, name in self._shown(items, phase)}))

    def missing(self, items: Sequence[Item], phase: GradientPhase) -> int:
        """How many views would have to be passed through the frozen stages."""
        return self.outputs.missing([name for _, name in self._shown(items, phase)])

    def augmented(self, items: Sequence[Item], count: int) -> np.ndarray:
        """Outputs for ``count`` augmented views of each image, float32 ``[count, N, ...]``."""
        options = self.setting.recipe.augment
        shown = self._named(items, options, np.full(len(items), count))

        def compute(chosen: list[int]) -> Iterator[torch.Tensor]:
            return self._passed_views(items, options, [shown[number][0] for number in chosen])

        rows = self.outputs.always([name for _, name in shown], compute).float().numpy()
        return np.stack([rows[view::count] for view in range(count)])

    def missing_augmented(self, items: Sequence[Item], count: int) -> int:
        """How many of those views would have to be passed."""
        shown = self._named(items, self.setting.recipe.augment, np.full(len(items), count))
        return self.outputs.missing([name for _, name in shown])

    def logits(self, items: Sequence[Item]) -> np.ndarray:
        """The network's logits for images as prediction sees them, float32 ``[N, C]``."""
        if not items:
            return np.empty((0, len(self.setting.manifest.classes)), dtype=np.float32)
        apart = self.setting.spec.mirror and not self.halves.body.mirrored
        features = []
        for turned in (False, True) if apart else (False,):
            rows = self._side(items, turned=turned)
            if rows is None:
                return self.setting.logits(self.model, items)
            features.append(self._features(rows))
        return answers(self.model, np.mean(features, axis=0))

    def _side(self, items: Sequence[Item], *, turned: bool) -> list[Row] | None:
        """What crosses of each image, or of its mirror image; None where the store has no room."""
        names = [f"{item.digest}/mirrored" if turned else item.digest for item in items]
        new = {n: item for n, item in zip(names, items, strict=True) if n not in self._scored}
        some = list(new.values())
        rows = self.outputs.stored(
            list(new), lambda chosen: self._passed([some[n] for n in chosen], turned=turned)
        )
        if rows is None:
            return None
        self._scored.update(rows)
        return [self._scored[name] for name in names]

    @cached_property
    def _tail(self) -> Tail:
        return Tail.of(self.model, self.halves)

    def _features(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        device = self.setting.device
        with torch.inference_mode(), full_precision(device):
            tail = self._tail.fast()
            parts = [
                tail(self.outputs.form.values(rows[start : start + EVAL_BATCH]).to(device))
                .float()
                .cpu()
                for start in range(0, len(rows), EVAL_BATCH)
            ]
        return torch.cat(parts).numpy()

    def _shown(
        self, items: Sequence[Item], phase: GradientPhase
    ) -> list[tuple[tuple[int, int], str]]:
        options = self.setting.augment(phase)
        counts = shown_views(phase, options, self.setting.labels(items))
        return self._named(items, options, counts)

    def _named(
        self, items: Sequence[Item], options: AugmentOptions, counts: npt.NDArray[np.int64]
    ) -> list[tuple[tuple[int, int], str]]:
        """Each view: the image's position, the view's number, its name."""
        # Here, and not above: albumentations is slow to import, and not all recipes augment.
        from finetune.data.transforms import Augmentation

        augmentation = Augmentation(self.setting.spec, options, self.setting.recipe.seed, None)
        return [
            ((position, view), view_name(item, augmentation, view))
            for position, item in enumerate(items)
            for view in range(counts[position])
        ]

    def _passed(self, items: Sequence[Item], *, turned: bool) -> Iterator[torch.Tensor]:
        def body() -> Pass:
            whole = self.halves.body
            return (lambda images: whole(images.flip(2))) if turned else whole

        loader = self.setting.eval_batches(items)
        return self.setting.passed(body, loader, self._title, len(items))

    def _passed_views(
        self, items: Sequence[Item], options: AugmentOptions, wanted: list[tuple[int, int]]
    ) -> Iterator[torch.Tensor]:
        setting = self.setting
        manifest, seed = setting.manifest, setting.recipe.seed
        loader = view_loader(manifest, items, setting.reading, options, seed, wanted, EVAL_BATCH)
        return setting.passed(lambda: self.halves.body, loader, self._title, len(wanted))

    @property
    def _title(self) -> str:
        return f"images up to {self.halves.first}"

    def _tell_no_room(self, rows: int) -> None:
        if self.outputs.shelf is None:  # the recipe wants none
            return
        wanted = byte_size(rows * self.outputs.form.nbytes)
        self.setting.say_not_kept(
            f"{wanted} of what the stages before {self.halves.first} make of the images",
            "they are run in every epoch",
        )


def view_name(item: Item, augmentation: Augmentation, view: int) -> str:
    """A name for a view: a digest of all that it hangs on."""
    if not augmentation.chance:  # the picture as prediction sees it
        return item.digest
    place = f"{augmentation.identity} {sample_key(item.path)} {view}".encode()
    return f"{item.digest}/{hashlib.blake2b(place, digest_size=12).hexdigest()}"


def _form(halves: Halves, setting: Setting) -> Form:
    size = setting.spec.size
    images = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    with torch.inference_mode(), full_precision(setting.device):
        return Form.of(halves.body(images))
