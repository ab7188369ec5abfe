"""What a phase under way says of the validation images."""

from __future__ import annotations

import numpy as np

from finetune.evaluation.metrics import epoch_scores
from finetune.recipe.schema import GradientPhase
from finetune.training.passage import Passage
from finetune.training.remedies import check_finite
from finetune.training.setting import Fit, Setting


class Validation:
    """Gives the scores of an epoch, before calibration, and keeps the logits.

    Args:
        setting: What the run's fits share.
        fit: What is scored, and what the fit is judged on.
        passage: The images' way through the network.
        phase: What is under way.

    Attributes:
        labels: Class indices of the validation images, int64 ``[M]``.
    """

    def __init__(self, setting: Setting, fit: Fit, passage: Passage, phase: GradientPhase) -> None:
        self.labels = setting.labels(fit.monitor)
        self._fit, self._passage, self._phase = fit, passage, phase
        self._last: np.ndarray | None = None

    def __call__(self) -> dict[str, float]:
        """The scores of the network as it is, by their names in the log."""
        return {f"val_{k}": v for k, v in epoch_scores(self.logits(), self.labels).items()}

    def logits(self) -> np.ndarray:
        """Logits of the validation images by the network as it is, ``[M, C]``.

        Raises:
            TrainingError: They are no longer numbers.
        """
        self._last = self._passage.logits(self._fit.monitor)
        check_finite(self._last, self._phase)
        return self._last

    def keep(self, logits: np.ndarray | None) -> None:
        """The network is another now: its ``logits`` of these images, or None if not known."""
        self._last = logits

    def judged(self) -> np.ndarray:
        """Logits of what the fit is judged on; those of the validation, if it is the same."""
        if self._last is not None and self._fit.judged is self._fit.monitor:
            return self._last
        return self._passage.logits(self._fit.judged)
