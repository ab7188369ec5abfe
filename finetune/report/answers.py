"""What the classifier said of each image that it was scored on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finetune.evaluation.table import PredictionTable

MOST_SHOWN = 12
"""Of the worst and of the least certain answers: with heat maps, which take seconds."""

MOST_DOUBTS = 24
"""Of the images whose label is doubtful."""

MOST_PICTURES = 1_000
"""Of which a run keeps thumbnails: with them a report stays below five megabytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One image with its class and what it was taken for.

    Attributes:
        path: Relative to the root of DATA.
        label: Its class.
        predicted: The most probable class.
        confidence: The probability of ``predicted``.
        own: The probability of ``label``.
    """

    path: str
    label: str
    predicted: str
    confidence: float
    own: float

    @property
    def right(self) -> bool:
        """Whether the classifier is right."""
        return self.label == self.predicted

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


def answers(table: PredictionTable, split: str) -> list[Answer]:
    """Those to the readable images of a part, in the table's order."""
    index = {name: place for place, name in enumerate(table.classes)}
    found = []
    for each in table.predictions:
        if each.split == split and each.probabilities is not None:
            best = int(each.probabilities.argmax())
            shares = each.probabilities
            own = float(shares[index[each.label]])
            found.append(
                Answer(each.path, each.label, table.classes[best], float(shares[best]), own)
            )
    return found


def worst(given: Iterable[Answer]) -> list[Answer]:
    """The wrong ones, the surest first."""
    return sorted((a for a in given if not a.right), key=lambda a: (-a.confidence, a.path))


def least_certain(given: Iterable[Answer]) -> list[Answer]:
    """All, the least certain first."""
    return sorted(given, key=lambda a: (a.confidence, a.path))


def pictured(given: Sequence[Answer]) -> list[str]:
    """The paths of the images to keep thumbnails of: mistakes before doubtful right answers."""
    right = [answer for answer in given if answer.right]
    return [answer.path for answer in (*worst(given), *least_certain(right))][:MOST_PICTURES]


def explained(given: Sequence[Answer]) -> list[Answer]:
    """Those whose images get a heat map: what a report shows of the worst and least certain."""
    chosen = [*worst(given)[:MOST_SHOWN], *least_certain(given)[:MOST_SHOWN]]
    return list({answer.path: answer for answer in chosen}.values())


def by_cell(given: Iterable[Answer]) -> dict[tuple[str, str], list[Answer]]:
    """The answers of each cell of the confusion matrix, by class and predicted class."""
    cells: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for answer in sorted(given, key=lambda a: (-a.confidence, a.path)):
        cells[answer.label, answer.predicted].append(answer)
    return dict(cells)
