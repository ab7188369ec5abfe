"""The trackers of one training: fed from its log, and never in its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from finetune.console import Reporter
from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.tracking.choosing import TRACKERS
from finetune.tracking.contents import beginning_of, ending_of, epoch_of
from finetune.tracking.secrets import without_password
from finetune.tracking.tracker import Tracker


@dataclass
class Reached:
    """How far a tracker is.

    Attributes:
        id: Its name for the run; empty: it has none yet.
        rows: Rows of the log that it has.
        finished: Whether it has all.
    """

    id: str = ""
    rows: int = 0
    finished: bool = False


class Trackers:
    """The trackers that a recipe names.

    What they have is kept in ``trackers.json``, so that a run that is gone on with goes on with
    them too. One that fails is told of once and left out; resuming the run sends what it lacks.

    Args:
        run: The run directory, which holds all that they are told.
        recipe: The run's recipe.
        reporter: Who is told.
    """

    def __init__(self, run: RunDirectory, recipe: Recipe, reporter: Reporter) -> None:
        self._run, self._recipe, self._reporter = run, recipe, reporter
        self._phases = [phase.name for phase in recipe.phases]
        self._reached = reached(run)
        self._open: dict[str, Tracker] = {}

    @property
    def unfinished(self) -> list[str]:
        """Names of those that do not have all; TensorBoard's events are a part of the run."""
        names = [name for name in self._recipe.track if name != "tensorboard"]
        return [name for name in names if not self._of(name).finished]

    def start(self, names: Sequence[str]) -> None:
        """Start these of them, or go on with them."""
        for name in names:
            with self._spared(name):
                tracker = TRACKERS[name](self._run)
                beginning = beginning_of(self._run, self._recipe)
                self._of(name).id = tracker.start(beginning, self._of(name).id)
                self._remember(name)
                self._open[name] = tracker
                if tracker.place:
                    self._reporter.say(f"Tracked by {name}: {tracker.place}")

    def follow(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Send the rows of the log, from its first one on, that are not sent yet."""
        for name, tracker in list(self._open.items()):
            reached = self._of(name)
            with self._spared(name):
                for step in range(reached.rows + 1, len(rows) + 1):
                    tracker.log(epoch_of(step, rows[step - 1], self._phases))
                    reached.rows = step
                    self._remember(name)

    def finish(self) -> None:
        """Send the scores and the artefact of the run, which is complete."""
        for name, tracker in list(self._open.items()):
            with self._spared(name):
                tracker.finish(ending_of(self._run))
                del self._open[name]
                self._of(name).finished = True
                self._remember(name)

    def close(self) -> None:
        """End those that are not finished."""
        for name, tracker in list(self._open.items()):
            with self._spared(name):
                del self._open[name]
                tracker.close()

    def _of(self, name: str) -> Reached:
        return self._reached.setdefault(name, Reached())

    def _remember(self, name: str) -> None:
        if self._of(name).id:
            known = {name: asdict(one) for name, one in self._reached.items() if one.id}
            self._run.write_json(self._run.trackers, known)

    @contextmanager
    def _spared(self, name: str) -> Iterator[None]:
        """The training is spared what fails here, be it a bug: hours must not end in it."""
        try:
            yield
        except Exception as error:
            self._open.pop(name, None)
            told = without_password(f"{type(error).__name__}: {error}".split("\n")[0])
            self._reporter.warn(
                f"{name} does not follow the training from here on ({told}). The run itself lacks "
                f"nothing; `finetune train --resume {self._run.path}` sends what is missing."
            )


def reached(run: RunDirectory) -> dict[str, Reached]:
    """How far each tracker of a run is that has a name of its own for it."""
    if not run.trackers.is_file():
        return {}
    return {name: Reached(**each) for name, each in run.read_json(run.trackers).items()}


@contextmanager
def following(
    run: RunDirectory, recipe: Recipe, reporter: Reporter, names: Sequence[str] | None = None
) -> Iterator[Trackers]:
    """The trackers that ``recipe`` names, or ``names`` of them, started, and ended at the end."""
    trackers = Trackers(run, recipe, reporter)
    trackers.start(recipe.track if names is None else names)
    try:
        yield trackers
    finally:
        trackers.close()
