"""Cutting images into folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stratified_folds(
    labels: np.ndarray, folds: int, seed: int, groups: Sequence[str] | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut positions ``0..N-1`` into folds that hold each class alike, never cutting a group.

    Members of each class are shuffled and dealt out in turn, each class going on at the fold where
    the one before it ended, so that folds differ by at most one image and a class of one image
    is no obstacle. Groups are dealt out whole, the largest first, each to the fold where it
    unbalances the classes least; no fold is left empty where there are groups enough.

    Args:
        labels: Class indices ``[N]``.
        folds: How many folds; fewer are made of fewer images or groups.
        seed: Of the shuffle.
        groups: A name for each position; an empty name is a group of its own.

    Returns:
        A pair for each fold: positions outside it and positions in it, both ascending.
    """
    generator = np.random.default_rng(seed)
    names = _group_names(groups, len(labels))
    if names is None:
        assigned = _deal(labels, min(folds, len(labels)), generator)
    else:
        assigned = _deal_groups(labels, names, folds, generator)
    positions = np.arange(len(labels))
    return [
        (positions[assigned != fold], positions[assigned == fold]) for fold in np.unique(assigned)
    ]


def _group_names(groups: Sequence[str] | None, count: int) -> np.ndarray | None:
    if groups is None or not any(groups):
        return None
    return np.array([group or f"\0{i}" for i, group in zip(range(count), groups, strict=True)])


def _deal(labels: np.ndarray, folds: int, generator: np.random.Generator) -> np.ndarray:
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    assigned = np.empty(len(labels), dtype=np.int64)
    assigned[by_class] = np.arange(len(labels)) % folds
    return assigned


def _deal_groups(
    labels: np.ndarray, names: np.ndarray, folds: int, generator: np.random.Generator
) -> np.ndarray:
    unique, member = np.unique(names, return_inverse=True)
    counts = np.zeros((len(unique), int(labels.max()) + 1))
    np.add.at(counts, (member, labels), 1)
    folds = min(folds, len(unique))
    target = counts.sum(0) / folds
    filled = np.zeros((folds, counts.shape[1]))
    fold_of = np.empty(len(unique), dtype=np.int64)
    order = generator.permutation(len(unique))
    largest_first = order[np.argsort(-counts[order].sum(1), kind="stable")]
    for left, group in zip(range(len(unique), 0, -1), largest_first, strict=True):
        excess = ((filled + counts[group] - target) ** 2 - (filled - target) ** 2).sum(1)
        empty = filled.sum(1) == 0
        if left <= empty.sum():  # else a fold would get none
            excess[~empty] = np.inf
        fold_of[group] = int(excess.argmin())
        filled[fold_of[group]] += counts[group]
    return fold_of[member]
