"""The loss of a phase by gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from finetune.recipe.schema import LossOptions
from finetune.training.balance import Array, class_weights, log_prior


@dataclass(frozen=True)
class Criterion:
    """Cross-entropy with what images count for.

    A step's loss is the sum over its images divided by their number, and not by the sum of their
    weights: weights are 1 in the mean over all training images, so that a batch in which a rare
    class happens to be counts for more.

    Attributes:
        weights: What an image of each class counts for, float32 ``[C]``; None: all the same.
        offsets: Added to the logits while learning, float32 ``[C]``; None: nothing.
        smoothing: Share of each label that is spread over all classes.
    """

    weights: torch.Tensor | None
    offsets: torch.Tensor | None
    smoothing: float

    @classmethod
    def of(cls, options: LossOptions, counts: Array, device: torch.device) -> Criterion:
        """The loss that ``options`` ask for where ``counts`` ``[C]`` images are of each class."""
        weights = offsets = None
        if options.class_weights != "none":
            found = class_weights(counts, options.class_weights)
            weights = torch.from_numpy(found).float().to(device)
        if options.logit_adjustment:
            found = options.logit_adjustment * log_prior(counts)
            offsets = torch.from_numpy(found).float().to(device)
        return cls(weights, offsets, options.label_smoothing)

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Each image's loss ``[N]``, for logits ``[N, C]`` and class indices ``[N]``."""
        adjusted = logits if self.offsets is None else logits + self.offsets
        losses = functional.cross_entropy(
            adjusted, labels, label_smoothing=self.smoothing, reduction="none"
        )
        return losses if self.weights is None else losses * self.weights[labels]
