"""The confusion matrix with the images of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.report.answers import Answer, by_cell

MOST_CLASSES = 30
"""Rows of a matrix that a person can take in."""

_MOST_CELLS = 300


@dataclass(frozen=True)
class Cell:
    """Images of one class that were taken for one class.

    Attributes:
        identity: Of its element; empty where its images aren't shown.
        label: The class.
        predicted: What they were taken for.
        count: How many there are.
        answers: Those that are shown, the surest first.
        depth: How dark the cell is drawn, 0 to 4, by its share of the class.
    """

    identity: str
    label: str
    predicted: str
    count: int
    answers: Sequence[Answer]
    depth: int

    @property
    def right(self) -> bool:
        """Whether it stands on the diagonal."""
        return self.label == self.predicted

    @property
    def left(self) -> int:
        """How many images are not shown."""
        return self.count - len(self.answers)


@dataclass(frozen=True)
class Confusion:
    """A matrix of the classes that are confused most, and lists of images.

    Attributes:
        classes: Of rows and columns.
        rows: A row for each class; None: no image.
        cells: With pictures: mistakes by their number, then the right ones.
        all_classes: How many classes there are.
    """

    classes: Sequence[str]
    rows: Sequence[Sequence[Cell | None]]
    cells: Sequence[Cell]
    all_classes: int


def confusion(
    answers: Sequence[Answer], classes: Sequence[str], pictures: frozenset[str]
) -> Confusion:
    """The matrix of ``answers``; only images whose path is in ``pictures`` are shown."""
    support = {name: sum(a.label == name for a in answers) for name in classes}
    found = by_cell(answers)
    order = sorted(found, key=lambda key: (key[0] == key[1], -len(found[key]), key))
    cells = {
        key: _cell(number, key, found[key], support[key[0]], pictures)
        for number, key in enumerate(order, 1)
    }
    shown = _most_confused(answers, classes)
    return Confusion(
        shown,
        [[cells.get((row, column)) for column in shown] for row in shown],
        [cell for cell in cells.values() if cell.identity],
        len(classes),
    )


def _cell(
    number: int,
    key: tuple[str, str],
    found: Sequence[Answer],
    support: int,
    pictures: frozenset[str],
) -> Cell:
    shown = [answer for answer in found if answer.path in pictures]
    listed = bool(shown) and number <= _MOST_CELLS
    depth = min(4, int(4 * len(found) / support) + 1)
    return Cell(f"cell-{number}" if listed else "", *key, len(found), shown, depth)


def _most_confused(answers: Sequence[Answer], classes: Sequence[str]) -> list[str]:
    """All classes in their order, or those that mistakes are made of most often."""
    if len(classes) <= MOST_CLASSES:
        return list(classes)
    mistakes = dict.fromkeys(classes, 0)
    for answer in answers:
        if not answer.right:
            mistakes[answer.label] += 1
            mistakes[answer.predicted] += 1
    chosen = set(sorted(classes, key=lambda name: (-mistakes[name], name))[:MOST_CLASSES])
    return [name for name in classes if name in chosen]
