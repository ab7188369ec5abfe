"""Images of a batch mixed with one another, and their labels with them.

mixup: Zhang et al. 2018; of what frozen stages give, it is the manifold mixup of Verma et al.
2019 at a fixed depth. cutmix: Yun et al. 2019. One share a batch, as in their authors' code.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch

from finetune.data.transfer import to_device
from finetune.recipe.schema import GradientPhase
from finetune.training.seeding import seed_of

Box = tuple[float, float, float, float]
"""Top, bottom, left and right, as shares of the height and the width."""


@dataclass(frozen=True)
class Mix:
    """How the images of a batch are mixed.

    Attributes:
        partners: Each image's partner in the batch, int64 ``[N]``.
        share: The image's own share, 0 to 1; the partner has the rest.
        box: What is cut from the partner; None: all pixels are mixed.
    """

    partners: torch.Tensor
    share: float
    box: Box | None

    def of(self, inputs: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Mixed ``[N, ...]``, and the share that each image really has in it.

        A box wants pictures ``[N, 3, H, W]``, and covers whole pixels.
        """
        others = inputs[to_device(self.partners, inputs.device)]
        if self.box is None:
            return inputs * self.share + others * (1 - self.share), self.share
        height, width = inputs.shape[-2:]
        top, bottom = (round(end * height) for end in self.box[:2])
        left, right = (round(end * width) for end in self.box[2:])
        mixed = inputs.clone()
        mixed[..., top:bottom, left:right] = others[..., top:bottom, left:right]
        return mixed, 1 - (bottom - top) * (right - left) / (height * width)


@dataclass(frozen=True)
class Targets:
    """What images, mixed or not, are to be taken for.

    Attributes:
        labels: Class indices ``[N]``.
        others: Those of the partners; None: nothing is mixed.
        share: What the images' own labels count for.
    """

    labels: torch.Tensor
    others: torch.Tensor | None = None
    share: float = 1.0

    def losses(
        self, criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], logits: torch.Tensor
    ) -> torch.Tensor:
        """Each image's loss ``[N]`` for logits ``[N, C]``."""
        own = criterion(logits, self.labels)
        if self.others is None:
            return own
        return self.share * own + (1 - self.share) * criterion(logits, self.others)

    def split(self, parts: int) -> list[Targets]:
        """The targets of a batch that is passed in ``parts``."""
        labels = self.labels.tensor_split(parts)
        if self.others is None:
            return [Targets(own) for own in labels]
        others = self.others.tensor_split(parts)
        pairs = zip(labels, others, strict=True)
        return [Targets(own, other, self.share) for own, other in pairs]


def draw_mix(phase: GradientPhase, images: int, *place: int | str) -> Mix | None:
    """How a batch of ``images`` is mixed: a pure function of the phase and of ``place``.

    Where the phase has both kinds, each batch is of one of them, by even chance.
    """
    kinds = [kind for kind in ("mixup", "cutmix") if getattr(phase, kind) > 0]
    if not kinds:
        return None
    draw = random.Random(seed_of(*place, "mix"))
    kind = draw.choice(kinds)
    alpha = getattr(phase, kind)
    share = draw.betavariate(alpha, alpha)
    partners = torch.tensor(draw.sample(range(images), images))
    return Mix(partners, share, _box(share, draw) if kind == "cutmix" else None)


def mixed(
    mix: Mix | None, inputs: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, Targets]:
    """A batch's inputs ``[N, ...]`` and targets, mixed as ``mix`` says; as they are where None."""
    if mix is None:
        return inputs, Targets(labels)
    blend, share = mix.of(inputs)
    return blend, Targets(labels, labels[to_device(mix.partners, labels.device)], share)


def _box(share: float, draw: random.Random) -> Box:
    """A box of ``1 - share`` of the area around any point, cut at the picture's border."""
    half = math.sqrt(1 - share) / 2
    middle, centre = draw.random(), draw.random()
    return (
        max(0.0, middle - half),
        min(1.0, middle + half),
        max(0.0, centre - half),
        min(1.0, centre + half),
    )
