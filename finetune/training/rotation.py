"""Features in their own principal axes, where a linear head is quicker to solve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_CHUNK = 4096
_NEGLIGIBLE = 1e-10
"""Axes whose variance is a smaller share of the largest axis's are rounding errors."""


@dataclass(frozen=True)
class Rotation:
    """A change of coordinates: centred, divided by one number, turned to the principal axes.

    It moves and turns the features as a whole, so a regression with a free bias and a penalty on
    the length of its coefficients has the same solution in the old coordinates and the new ones.

    Attributes:
        centre: What is taken away, as a rule the features' mean ``[D]``.
        scale: The root of the mean squared length of the centred features.
        axes: Principal axes ``[D, R]``, R at most min(N, D).
    """

    centre: Array
    scale: float
    axes: Array

    @classmethod
    def of(cls, features: npt.NDArray[np.floating], centre: Array | None = None) -> Rotation:
        """The rotation of features ``[N, D]``, computed in double precision.

        About their mean, or another ``centre [D]``.

        Takes min(N, D) ** 2 * max(N, D) operations and little memory beside the axes: the rows
        are read in chunks where there are more of them than columns.
        """
        centre = features.mean(0, dtype=np.float64) if centre is None else centre
        axes, variances = _axes(features, centre)
        scale = float(np.sqrt(variances.sum() / len(features)))
        return cls(centre, scale if scale > 0 else 1.0, axes)

    def apply(self, features: npt.NDArray[np.floating]) -> Array:
        """Features ``[N, D]`` in the new coordinates and a last column of ones, ``[N, R + 1]``."""
        rows = np.ones((len(features), self.axes.shape[1] + 1))
        for part, centred in _chunks(features, self.centre):
            rows[part, :-1] = centred @ self.axes / self.scale
        return rows

    def undo(self, coefficients: Array) -> tuple[Array, Array]:
        """The weight ``[C, D]`` and bias ``[C]`` for raw features of ``[R + 1, C]``."""
        weight = (self.axes @ coefficients[:-1]).T / self.scale
        return weight, coefficients[-1] - weight @ self.centre


def _axes(features: npt.NDArray[np.floating], centre: Array) -> tuple[Array, Array]:
    """Principal axes ``[D, R]`` and the sums of squares along them ``[R]``."""
    if len(features) < features.shape[1]:
        centred = features - centre
        values, vectors = np.linalg.eigh(centred @ centred.T)
        real = _real(values)
        return centred.T @ vectors[:, real] / np.sqrt(values[real]), values[real]
    total = np.zeros((features.shape[1],) * 2)
    for _, centred in _chunks(features, centre):
        total += centred.T @ centred
    values, vectors = np.linalg.eigh(total)
    real = _real(values)
    return vectors[:, real], values[real]


def _real(values: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((values > 0) & (values > _NEGLIGIBLE * values.max()))


def _chunks(features: npt.NDArray[np.floating], centre: Array) -> Iterator[tuple[slice, Array]]:
    for start in range(0, len(features), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield part, features[part] - centre
