"""Logits into probabilities that mean what they say."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

Array = npt.NDArray[np.float64]

COLDEST, HOTTEST = 0.05, 20.0
"""The temperatures that are looked at; deep networks are found between 1 and 3 (Guo et al.)."""

_PRIOR_WIDTH = 0.5
"""Standard deviation of the logarithm of the temperature before any image is seen."""

_COARSE = 25
_CHUNK = 1_000_000


def fit_temperature(
    logits: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    weights: Array | None = None,
) -> float:
    """The number that logits are divided by to bring their log loss down most.

    Temperature scaling (Guo et al. 2017, "On calibration of modern neural networks") changes no
    prediction, only the confidence in it. Where every image is right, the log loss alone would
    ask for endless confidence; so a weak prior speaks with the images: the logarithm of the
    temperature is normal around 0 with a standard deviation of 0.5 (two in three temperatures
    between 0.6 and 1.65), which counts for something with 20 images and for next to nothing with
    200. What is minimised is the summed log loss plus the prior's ``(log T / 0.5) ** 2 / 2``.

    Args:
        logits: ``[N, C]``, of images that the weights were not fitted to.
        labels: Class indices ``[N]``.
        weights: What each image counts for, ``[N]``; None: all the same.

    Returns:
        The temperature, from `COLDEST` to `HOTTEST`; 1 where there are no images.
    """
    if not len(labels):
        return 1.0
    counted = np.ones(len(labels)) if weights is None else weights

    def loss(log_temperature: float) -> float:
        images = (counted * log_losses(logits, labels, math.exp(log_temperature))).sum()
        return float(images + (log_temperature / _PRIOR_WIDTH) ** 2 / 2)

    # With the prior there can be more than one valley when all logits are tiny: look first.
    grid = np.linspace(math.log(COLDEST), math.log(HOTTEST), _COARSE)
    lowest = int(np.argmin([loss(point) for point in grid]))
    bounds = grid[max(lowest - 1, 0)], grid[min(lowest + 1, _COARSE - 1)]
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return math.exp(found.x)


def softmax(logits: npt.NDArray[np.floating], temperature: float) -> Array:
    """Probabilities ``[N, C]`` in double precision; each row sums to 1."""
    scaled = _scaled(logits, temperature)
    shares = np.exp(scaled)
    return np.asarray(shares / shares.sum(-1, keepdims=True))


def log_losses(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], temperature: float
) -> Array:
    """Each image's log loss in nats, ``[N]``: minus the log-probability of its class."""
    losses = np.empty(len(labels))
    step = max(1, _CHUNK // logits.shape[1])
    for start in range(0, len(labels), step):
        part = slice(start, start + step)
        scaled = _scaled(logits[part], temperature)
        own = np.take_along_axis(scaled, labels[part, None], axis=1)[:, 0]
        losses[part] = np.log(np.exp(scaled).sum(-1)) - own
    return losses


def _scaled(logits: npt.NDArray[np.floating], temperature: float) -> Array:
    """Logits over the temperature, the largest of each row 0."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    return np.asarray(scaled - scaled.max(-1, keepdims=True))
