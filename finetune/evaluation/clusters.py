"""Images that come in groups: how many independent ones they are worth, and how sure means are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from finetune.evaluation.intervals import UNDEFINED, Score, effective_wilson

Groups = npt.NDArray[np.int64]
"""A number for each image, ``[N]``, the same for all images of a group."""

_PRIOR = 0.5
"""For how many groups of the rarer outcome the belief counts that a group is all alike."""


def group_numbers(names: Sequence[str] | None) -> Groups | None:
    """Numbers for groups by name; None where no two images share one.

    An empty name belongs to no group: such an image is one of its own.
    """
    if names is None or not any(names):
        return None
    own = [name or f"\0{place}" for place, name in enumerate(names)]
    unique, numbers = np.unique(own, return_inverse=True)
    return None if len(unique) == len(own) else numbers.astype(np.int64)


def share(hits: npt.NDArray[np.bool_], groups: Groups | None, confidence: float) -> Score:
    """The share of ``hits`` ``[N]`` with Wilson's interval for as many trials as it is worth."""
    if not len(hits):
        return UNDEFINED
    value = int(hits.sum()) / len(hits)
    return effective_wilson(value, effective_size(hits, groups, confidence), confidence)


def effective_size(hits: npt.NDArray[np.bool_], groups: Groups | None, confidence: float) -> float:
    """How many independent images ``N`` images in groups are worth, for the share of ``hits``.

    It is ``N / deff * (t(N - 1) / t(G - 1)) ** 2`` for G groups: the design effect of Kish 1965,
    and the factor of Korn and Graubard 1998 (`effective_wilson`) for its being known from G groups
    only, with Student's quantiles of the degrees of freedom in brackets. It is N where every
    image is a group of its own, and never more.

    Args:
        hits: Which images succeeded, ``[N]``; at least one image.
        groups: Their groups; None: each its own.
        confidence: Of the interval that it is for.
    """
    count = len(hits)
    sizes = np.unique(groups, return_counts=True)[1] if groups is not None else np.ones(count)
    if groups is None or len(sizes) == count:
        return float(count)
    if len(sizes) == 1:
        return 1.0  # nothing tells how other groups would differ
    level = (1 + confidence) / 2
    known = float(stdtrit(count - 1, level) / stdtrit(len(sizes) - 1, level))
    return count / design_effect(hits, groups) * min(known, 1.0) ** 2


def standard_error(values: npt.NDArray[np.float64], groups: Groups | None) -> float | None:
    """How far off the mean of ``values`` ``[N]`` may be; None for fewer than two groups.

    Groups were drawn, not images: what counts is how far each group's sum of deviations is from 0
    (the linearised variance of a mean in a one-stage cluster sample; Cochran 1977, section 9.3).
    Where each image is a group of its own it is the usual ``s / sqrt(N)``.
    """
    _, member = np.unique(np.arange(len(values)) if groups is None else groups, return_inverse=True)
    sums = np.bincount(member, weights=values - values.mean()) if len(values) else np.empty(0)
    count = len(sums)
    if count < 2:
        return None
    return math.sqrt(count / (count - 1) * float(np.square(sums).sum())) / len(values)


def design_effect(hits: npt.NDArray[np.bool_], groups: Groups) -> float:
    """By what the variance of the share of ``hits`` exceeds that of as many independent images.

    ``1 + (m - 1) * rho`` (Kish 1965, "Survey sampling"), where ``m`` is the mean size of the
    group that an image is in, and rho the correlation of success within groups, estimated by
    one-way analysis of variance (Donner 1986; it is never taken below 0). Where few groups hold
    the rarer outcome, that estimate hangs on them and is often 0 by chance; so it is drawn
    towards 1 as if half a group more had been seen whose images are all alike:
    ``rho + (1 - rho) * 0.5 / (0.5 + k)`` with k the groups that hold the rarer outcome. Where all
    images are right that leaves rho at 1: each group then counts as one image.

    Args:
        hits: Which images succeeded, ``[N]``.
        groups: Their groups ``[N]``; at least two, and at least one of two images.
    """
    _, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member).astype(np.float64)
    found = np.bincount(member, weights=hits).astype(np.float64)
    seen = int(min((found > 0).sum(), (found < sizes).sum()))
    rho = _correlation(found, sizes) if seen else 1.0
    rho += (1 - rho) * _PRIOR / (_PRIOR + seen)
    return 1 + (float(np.square(sizes).sum() / sizes.sum()) - 1) * rho


def _correlation(found: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]) -> float:
    """The intraclass correlation of successes, ``found`` of ``sizes`` in each group, 0 to 1."""
    total, count = sizes.sum(), len(sizes)
    shares, overall = found / sizes, found.sum() / total
    between = float((sizes * (shares - overall) ** 2).sum()) / (count - 1)
    within = float((found * (1 - shares)).sum()) / (total - count)
    typical = (total - np.square(sizes).sum() / total) / (count - 1)
    return float(np.clip((between - within) / (between + (typical - 1) * within), 0.0, 1.0))
