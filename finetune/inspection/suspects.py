"""Images whose label is doubtful: trainings that never saw them see another class in them.

How many labels are wrong is told by the confident joint of Northcutt, Jiang and Chuang 2021
("Confident learning: estimating uncertainty in dataset labels"); which they are, by the margin. The
same images are what cleanlab finds with ``filter_by="low_normalized_margin"``; here it is a few
comparisons in NumPy, for which that package's processes and further methods are not wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.data.fixes import DROP, RELABEL, Fix
from finetune.data.manifest import Item
from finetune.evaluation.clusters import Groups


@dataclass(frozen=True, slots=True)
class Suspect:
    """An image whose label is doubtful.

    Attributes:
        place: Of the image.
        given: The class that it has.
        suggested: The class that it is taken for.
        confidence: Probability of the suggested class.
        margin: How far that lies above the probability of the given class, more than 0 to 1.
    """

    place: int
    given: str
    suggested: str
    confidence: float
    margin: float


def suspects(
    probabilities: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    classes: Sequence[str],
    groups: Groups | None = None,
) -> list[Suspect]:
    """As many images as the confident joint counts off its diagonal, the most doubtful first.

    An image counts as mislabelled where another class than its own is the most probable, and at
    least as probable as that class is on average in the images that carry its label: so a class
    that is hard to tell from others accuses as readily as an easy one. As many images as that are
    listed, those with the widest margins, `Suspect.margin`; equals with the last of them too.

    A class whose images are all one image or one group accuses none and none of its images is
    accused: no training that had not seen them has learnt it.

    Args:
        probabilities: Out-of-fold: each row from a training that had not seen the image,
            ``[N, C]``.
        labels: Class indices ``[N]``, from 0 to C - 1.
        classes: The C classes' names.
        groups: Of the images, ``[N]``; None: each its own.
    """
    if not len(labels):
        return []
    given, likely = probabilities[np.arange(len(labels)), labels], probabilities.argmax(1)
    highest, limits = probabilities.max(1), _usual(given, labels, len(classes))
    learnt, margins = _learnt(labels, groups), highest - given
    known = np.isin(labels, learnt) & np.isin(likely, learnt) & (margins > 0)
    count = int((known & (highest >= limits[likely])).sum())
    places = np.flatnonzero(known)
    ranked = places[np.argsort(-margins[places], kind="stable")]
    return [
        Suspect(
            place=int(place),
            given=classes[labels[place]],
            suggested=classes[likely[place]],
            confidence=float(highest[place]),
            margin=float(margins[place]),
        )
        for place in ranked
        if count and margins[place] >= margins[ranked[count - 1]]
    ]


def suspect_fixes(
    found: Sequence[Suspect],
    items: Sequence[Item],
    others: Sequence[Fix] = (),
    copies: Sequence[Sequence[int]] = (),
) -> list[Fix]:
    """A row of ``fixes.csv`` for each suspect, with a suggestion where it contradicts nothing.

    It suggests to relabel but where another row says what to do with the label or the image, and
    where not all copies of the picture are taken for the same class: then a person has to judge.

    Args:
        found: Of `suspects`; places are those of ``items``.
        items: The images.
        others: Rows that are there already.
        copies: Places of images that show the same picture, by picture.
    """
    told = {each.place: each.suggested for each in found}
    decided = {fix.path for fix in others if fix.action in (DROP, RELABEL)}
    disputed = {p for same in copies if len({told.get(q) for q in same}) > 1 for p in same}
    return [
        Fix(
            items[each.place].path,
            f"trainings that never saw it say {each.suggested} with {each.confidence:.2f}",
            *_action(each, items[each.place].path not in decided and each.place not in disputed),
        )
        for each in found
    ]


def _action(suspect: Suspect, clear: bool) -> tuple[str, str]:
    return (RELABEL, suspect.suggested) if clear else ("", "")


def _usual(
    given: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], count: int
) -> npt.NDArray[np.float64]:
    """Mean probability of each class in the images that carry it, ``[C]``; 0 for no image."""
    images = np.bincount(labels, minlength=count)
    return np.bincount(labels, given, count) / np.maximum(images, 1)


def _learnt(labels: npt.NDArray[np.integer], groups: Groups | None) -> npt.NDArray[np.integer]:
    """The classes of at least two images, or groups."""
    own = np.arange(len(labels)) if groups is None else groups
    pairs = np.unique(np.stack([labels, own]), axis=1)
    classes, counts = np.unique(pairs[0], return_counts=True)
    return classes[counts > 1]
