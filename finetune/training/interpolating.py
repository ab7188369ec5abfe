"""A phase's weights mixed with those that it began with, by the share that scores best.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from finetune.console import Task
from finetune.evaluation.metrics import epoch_scores

SHARES = tuple(tenths / 10 for tenths in range(11))
"""Shares of the phase's own weights that are tried, as in the paper."""

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Mixture:
    """The mixture that a phase ends with.

    Attributes:
        share: Of the phase's own weights, 0 to 1; those that it began with have the rest.
        log_losses: Of each of `SHARES`, in nats, before calibration.
        logits: Of the images that it was chosen on, ``[M, C]``.
    """

    share: float
    log_losses: tuple[float, ...]
    logits: np.ndarray

    @property
    def words(self) -> str:
        """What became of the phase's weights, for a person."""
        best, own = min(self.log_losses), self.log_losses[-1]
        if self.share == SHARES[-1]:
            return f"unmixed: no share of what it began with lowers the log loss of {own:.4f}"
        gain = f"log loss {best:.4f}, and {own:.4f} by its own weights alone"
        if self.share == SHARES[0]:
            return f"put back to what it began with: {gain}"
        return f"{self.share:.0%} mixed with {1 - self.share:.0%} of what it began with: {gain}"

    def to_record(self) -> dict[str, object]:
        """As JSON types, for ``phases.json``."""
        return {"share": self.share, "log_losses": list(self.log_losses)}


@dataclass(frozen=True)
class Stretch:
    """What a phase moves.

    Attributes:
        began: As it was at its beginning.
        ended: The same at its end.
    """

    began: State
    ended: State

    def at(self, share: float) -> State:
        """``share`` of the end and the rest of the beginning, exact at 0 and 1.

        Counts are not mixed: they are the end's on the way.
        """
        if share in (SHARES[0], SHARES[-1]):
            return self.ended if share else self.began
        return {
            name: torch.lerp(self.began[name], last, share) if last.is_floating_point() else last
            for name, last in self.ended.items()
        }


def interpolate(
    model: nn.Module,
    stretch: Stretch,
    logits: Callable[[], np.ndarray],
    labels: np.ndarray,
    refresh: Callable[[], None] | None,
    task: Task,
) -> Mixture:
    """Leave ``model`` with the mixture of the lowest log loss on some images.

    Of equally good ones, that with the smallest share: what a phase doesn't better stays as it was.

    Args:
        model: The network.
        stretch: What is mixed.
        logits: Of the images to choose on, by the network as it is, ``[M, C]``.
        labels: Their classes, int64 ``[M]``, M > 0.
        refresh: Computes BatchNorm's statistics, as those of a mixture are not mixtures of the
            ends' own; None: they didn't move.
        task: Is told of each mixture.
    """
    answers = []
    for share in SHARES:
        _give(model, stretch, share, refresh)
        answers.append(logits())
        task.advance()
    losses = tuple(epoch_scores(each, labels)["log_loss"] for each in answers)
    best = int(np.argmin(losses))
    _give(model, stretch, SHARES[best], refresh)
    return Mixture(SHARES[best], losses, answers[best])


def _give(
    model: nn.Module, stretch: Stretch, share: float, refresh: Callable[[], None] | None
) -> None:
    model.load_state_dict(model.state_dict() | stretch.at(share))
    if refresh and 0 < share < 1:
        refresh()
