"""The worst mistakes with their pictures, in a notebook."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from PIL import Image

from finetune.errors import RunError
from finetune.report.answers import Answer, worst
from finetune.report.display.figures import PLAIN, grid_figure, name
from finetune.report.display.fragment import fragment
from finetune.report.evidence import Evidence
from finetune.report.thumbnails import Thumbnail
from finetune.text import plural, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Mistakes:
    """Wrong answers, the surest first.

    Attributes:
        answers: Those that are shown.
        total: How many there are.
        thumbnails: By path, of those that the run keeps.
        heat: The same of heat maps.
    """

    answers: Sequence[Answer]
    total: int
    thumbnails: Mapping[str, Thumbnail | None]
    heat: Mapping[str, Thumbnail]

    def frame(self) -> pd.DataFrame:
        """A row an image: ``path``, ``label``, ``predicted``, ``confidence``, ``own``.

        ``own`` is the probability of its class.
        """
        import pandas as pd

        columns = [field.name for field in fields(Answer)]
        return pd.DataFrame([asdict(answer) for answer in self.answers], columns=columns)

    def figure(self) -> Figure:
        """The pictures as a matplotlib figure.

        Raises:
            RunError: Matplotlib is not installed.
        """
        return grid_figure(self.answers, self._draw, width=2.0, height=2.3, across=4)

    def _draw(self, axes: Axes, answer: Answer) -> None:
        axes.set_axis_off()
        lines = (name(answer.label), f"→ {name(answer.predicted)}, {answer.confidence:.0%}")
        axes.set_title("\n".join(lines), fontsize=8, **PLAIN)
        picture = self.thumbnails.get(answer.path)
        if picture is None:
            axes.text(0.5, 0.5, "can't be shown", ha="center", va="center", fontsize=8)
            return
        with Image.open(io.BytesIO(picture.data), formats=["WEBP"]) as image:
            axes.imshow(image.convert("RGB"))

    @property
    def caption(self) -> str:
        """How many there are, and how many are shown."""
        shown = len(self.answers)
        which = f"; the {shown:,} that it was surest of" if shown < self.total else ""
        return plural(self.total, "mistake") + which

    def __repr__(self) -> str:
        lines = (
            f"  {answer.confidence:.1%} {printable(answer.predicted)}, "
            f"is {printable(answer.label)}: {printable(answer.path)}"
            for answer in self.answers
        )
        return "\n".join([self.caption, *lines])

    def _repr_html_(self) -> str:
        """What a notebook shows: the pictures, each with what it is and was taken for."""
        return fragment("mistakes.html", shown=self)


def run_mistakes(evidence: Evidence, n: int) -> Mistakes:
    """The ``n`` worst of a run.

    Raises:
        RunError: ``n`` is below 1.
    """
    if n < 1:
        raise RunError(f"{n} pictures can't be shown", mend="Ask for one at least.")
    found = worst(evidence.answers)
    return Mistakes(found[:n], len(found), evidence.thumbnails, evidence.heat)
