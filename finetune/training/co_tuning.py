"""The classifier of the pretraining, which learns on beside the new one: Co-Tuning.

You et al. 2020, "Co-Tuning for transfer learning": the old classifier is taught what the pretrained
network says of an image's class, so that the backbone keeps what told the old classes apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from finetune.data.manifest import Item
from finetune.features.cutting import between, cut
from finetune.model.head import SourceHead
from finetune.model.stages import HEAD
from finetune.recipe.schema import GradientPhase
from finetune.training.setting import Setting

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Each image's loss ``[N]`` of logits ``[N, ...]`` and class indices ``[N]``."""

_ROWS = 4096
"""Images whose source probabilities are in memory at once."""


@dataclass(frozen=True, eq=False)
class CoTuning:
    """A source head that learns beside a network's own head for as long as a phase lasts.

    Attributes:
        source: From the features ``[N, D]`` to logits of the source classes ``[N, S]``.
        relation: What the source head is to say of each class, float32 ``[C, S]``.
        strength: What its loss counts for.
    """

    source: nn.Linear
    relation: torch.Tensor
    strength: float

    @classmethod
    def of(cls, setting: Setting, items: Sequence[Item], phase: GradientPhase) -> CoTuning | None:
        """What ``phase`` asks for where ``items`` are learnt from; None: nothing of the kind.

        The source head is as pretrained, and the relation is seen by the pretrained network,
        whatever phases came before.
        """
        if not phase.co_tuning:
            return None
        head = setting.source_head
        assert head is not None  # `check_co_tuning` has seen to it
        # As if no image had been passed before: the same batches whether or not a run is resumed.
        features = replace(setting, _features={}).pristine_features(items)
        relation = relation_of(features, setting.labels(items), len(setting.manifest.classes), head)
        return cls(head.layer().to(setting.device), relation.to(setting.device), phase.co_tuning)

    def both_heads(self, model: nn.Module, first: str | None, size: int) -> nn.Module:
        """From what crosses a cut before ``first`` to logits of both heads, ``[N, C + S]``.

        The source head takes the features as they are: dropout before the classifier is that of
        the new one.

        Args:
            model: The network; its own modules are used.
            first: The first stage behind the cut; None: from normalised images.
            size: Side of the images, in pixels.

        Raises:
            Uncuttable: The network can't be cut there or before its classifier.
        """
        ends = cut(model, HEAD, size)
        body = ends.prefix if first is None else between(model, first)
        return _BothHeads(body, ends.suffix, self.source)

    def beside(self, own: Loss) -> Loss:
        """``own`` for the first C logits, plus the source head's loss for the S behind them."""
        classes = len(self.relation)

        def losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            source, wanted = logits[:, classes:], self.relation[labels]
            kept = functional.cross_entropy(source, wanted, reduction="none")
            return own(logits[:, :classes], labels) + self.strength * kept

        return losses


class _BothHeads(nn.Module):
    """A body, and two heads on its features."""

    def __init__(self, body: nn.Module, head: nn.Module, source: nn.Module) -> None:
        super().__init__()
        self.body, self.head, self.source = body, head, source

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, C + S]``."""
        features = self.body(inputs)
        return torch.cat([self.head(features), self.source(features)], dim=1)


def relation_of(
    features: np.ndarray, labels: np.ndarray, classes: int, head: SourceHead
) -> torch.Tensor:
    """How probable each source class is for an image of each class, float32 ``[C, S]``.

    The mean of the source head's probabilities over the images of a class, which the paper calls
    the direct approach. Its other one, a regression of the classes on the S probabilities, turned
    round by Bayes' rule, has more numbers to find than a few images a class can tell, and chooses
    among them by images held back. A class without an image takes the mean over all.

    Args:
        features: What the pretrained network gives its classifier, ``[N, D]``; at least one row.
        labels: Class indices ``[N]``.
        classes: C.
        head: The source head.
    """
    of = torch.from_numpy(labels)
    weight, bias = head.weight.double(), head.bias.double()
    sums = torch.zeros(classes, len(head.bias), dtype=torch.float64)
    for start in range(0, len(of), _ROWS):
        rows = torch.from_numpy(features[start : start + _ROWS]).double()
        seen = functional.linear(rows, weight, bias).softmax(1)
        sums.index_add_(0, of[start : start + _ROWS], seen)
    counts = torch.bincount(of, minlength=classes)[:, None]
    return torch.where(counts > 0, sums / counts.clamp_min(1), sums.sum(0) / len(of)).float()
