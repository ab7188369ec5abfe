"""How often the classifier errs when it answers only what it is surest of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RiskCoverage:
    """The risk-coverage curve (El-Yaniv and Wiener 2010).

    Attributes:
        coverage: Share of the images that are answered, ``[N]``, rising to 1.
        risk: Share of the answers that are wrong, ``[N]``.
        area: The mean of ``risk`` (AURC; Geifman, Uziel and El-Yaniv 2019): 0 is best, and the
            error rate is what a confidence comes to that says nothing. None without images.
    """

    coverage: Array
    risk: Array
    area: float | None


def risk_coverage(probabilities: Array, labels: npt.NDArray[np.integer]) -> RiskCoverage:
    """The curve for answers in the order of their confidence, surest first.

    Images of equal confidence have no order; each counts with their mean error.

    Args:
        probabilities: ``[N, C]``.
        labels: Class indices ``[N]``.
    """
    count = len(labels)
    if not count:
        return RiskCoverage(np.empty(0), np.empty(0), None)
    _, level = np.unique(-probabilities.max(1), return_inverse=True)
    wrong = np.bincount(level, weights=probabilities.argmax(1) != labels) / np.bincount(level)
    answered = np.arange(1, count + 1)
    risk = wrong[np.sort(level)].cumsum() / answered
    return RiskCoverage(answered / count, risk, float(risk.mean()))
