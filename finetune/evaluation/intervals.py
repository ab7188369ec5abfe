"""A score with its interval, and the interval of a share."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Score:
    """A score and how far off it may be; all three are None where it is undefined.

    Attributes:
        value: The score on the images at hand.
        low: Lower end of its interval; never above ``value``.
        high: Upper end; never below ``value``.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """As JSON types."""
        return asdict(self)


UNDEFINED = Score()
"""The score of nothing."""


def wilson(successes: int, n: int, confidence: float) -> Score:
    """A share of ``n`` independent trials with Wilson's score interval.

    It keeps close to its nominal coverage for few trials and shares near 0 or 1, and has a width
    even where all trials succeeded (Wilson 1927, "Probable inference, the law of succession, and
    statistical inference"; recommended by Agresti and Coull 1998 and by Brown, Cai and
    DasGupta 2001).

    Args:
        successes: How many trials succeeded.
        n: How many there were; with none the share is undefined.
        confidence: Coverage of the interval, 0.95 for 95 %.
    """
    if n == 0:
        return UNDEFINED
    share = successes / n
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    shrink = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    reach = z / shrink * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At shares of 0 and 1 an end is exactly the share; rounding must not put it past that.
    return Score(share, max(0.0, min(centre - reach, share)), min(1.0, max(centre + reach, share)))
