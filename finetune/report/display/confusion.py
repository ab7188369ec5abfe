"""The confusion matrix, in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.report.confusion import Cell, Confusion, confusion
from finetune.report.display.figures import PLAIN, RIGHT, WRONG, name, new_figure
from finetune.report.display.fragment import fragment
from finetune.report.evidence import Evidence
from finetune.text import plural, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STRENGTH = 0.55
_SHOWN = 8


@dataclass(frozen=True)
class ConfusionMatrix:
    """What is taken for what.

    Attributes:
        split: The part that was scored.
        matrix: Of the classes that are confused most, with their cells.
        classes: All classes.
        counts: Images of each class (rows) by what they were taken for, ``[C, C]``.
        normalise: Whether shares of the class are shown, instead of counts.
    """

    split: str
    matrix: Confusion
    classes: tuple[str, ...]
    counts: Sequence[Sequence[int]]
    normalise: bool

    def frame(self) -> pd.DataFrame:
        """All classes: a row a class, a column what its images were taken for."""
        import pandas as pd

        counts = np.array(self.counts)
        sums = counts.sum(1, keepdims=True)
        values = counts / np.maximum(sums, 1) if self.normalise else counts
        columns = pd.Index(self.classes, name="taken for")
        return pd.DataFrame(values, index=pd.Index(self.classes, name="class"), columns=columns)

    def figure(self) -> Figure:
        """The matrix as a matplotlib figure, of at most 30 classes.

        Raises:
            RunError: Matplotlib is not installed.
        """
        size = 0.42 * len(self.matrix.classes)
        figure = new_figure(size + 2.4, size + 1.8)
        self._draw(figure.add_subplot())
        return figure

    def _draw(self, axes: Axes) -> None:
        shown, places = [name(each) for each in self.matrix.classes], range(self._size)
        axes.imshow([[self._colour(cell) for cell in row] for row in self.matrix.rows])
        axes.set_xticks(places, shown, rotation=90, **PLAIN)
        axes.set_yticks(places, shown, **PLAIN)
        axes.set_xlabel("taken for")
        axes.set_ylabel("class")
        axes.tick_params(length=0)
        for row, cells in enumerate(self.matrix.rows):
            for column, cell in enumerate(cells):
                if cell:
                    axes.text(column, row, self.shown(cell), ha="center", va="center", fontsize=8)

    @property
    def _size(self) -> int:
        return len(self.matrix.classes)

    def _colour(self, cell: Cell | None) -> tuple[float, float, float]:
        """White for none, up to a blue or orange on which black is read, by share of the class."""
        if cell is None:
            return (1.0, 1.0, 1.0)
        code, share = RIGHT if cell.right else WRONG, _STRENGTH * (0.2 + 0.8 * self._share(cell))
        full = (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
        red, green, blue = (1 - share * (1 - each) for each in full)
        return red, green, blue

    def _share(self, cell: Cell) -> float:
        return cell.count / self._support[cell.label]

    @property
    def _support(self) -> Mapping[str, int]:
        sums = (sum(row) for row in self.counts)
        return dict(zip(self.classes, sums, strict=True))

    def shown(self, cell: Cell) -> str:
        """What stands in the cell."""
        return f"{100 * self._share(cell):.0f} %" if self.normalise else f"{cell.count:,}"

    @property
    def caption(self) -> str:
        """How many images, classes and right answers there are."""
        right = sum(row[place] for place, row in enumerate(self.counts))
        total = sum(map(sum, self.counts))
        part = {"val": "validation ", "all": ""}.get(self.split, f"{self.split} ")
        classes = plural(len(self.classes), "class", "classes")
        return f"{plural(total, f'{part}image')}, {classes}, {right:,} right"

    def _mistakes(self) -> list[tuple[int, str]]:
        """Of all classes, the commonest first."""
        return sorted(
            (
                (-count, f"{printable(label)} taken for {printable(self.classes[place])}")
                for label, row in zip(self.classes, self.counts, strict=True)
                for place, count in enumerate(row)
                if count and self.classes[place] != label
            )
        )

    def __repr__(self) -> str:
        found = self._mistakes()
        lines = [f"  {-count:,} × {told}" for count, told in found[:_SHOWN]]
        more = [f"  and {len(found) - _SHOWN:,} other mistakes"] if len(found) > _SHOWN else []
        return "\n".join([self.caption, *lines, *more])

    def _repr_html_(self) -> str:
        """What a notebook shows: the matrix, with what the report draws its cells by."""
        return fragment("confusion.html", shown=self, matrix=self.matrix)


def run_confusion(evidence: Evidence, *, normalise: bool) -> ConfusionMatrix:
    """That of the images that the scores are of."""
    metrics: Mapping[str, Any] = evidence.metrics
    classes = tuple(metrics["classes"])
    return ConfusionMatrix(
        split=metrics["split"],
        matrix=confusion(evidence.answers, classes, frozenset()),
        classes=classes,
        counts=metrics["confusion"],
        normalise=normalise,
    )
