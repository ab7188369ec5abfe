"""The curves for TensorBoard, in the run directory."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from finetune.run import RunDirectory
from finetune.tracking.tracker import Beginning, Ending, Epoch

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

_NO_CURVES = ("epoch", "step", "seconds")


class TensorBoardEvents:
    """Events below ``tensorboard/<fit>/<phase>``, a step an epoch of the phase.

    What an interrupted run left is written anew from its log, so that no epoch is there twice. A
    run whose phases have no epochs gets no events.
    """

    place = ""

    def __init__(self, run: RunDirectory) -> None:
        self._folder = run.tensorboard
        self._writers: dict[str, SummaryWriter] = {}
        self._parameters = ""

    def start(self, beginning: Beginning, known: str) -> str:
        """Forget earlier events."""
        if self._folder.exists():
            shutil.rmtree(self._folder)
        rows = "\n".join(f"| {key} | {value} |" for key, value in beginning.parameters.items())
        self._parameters = f"| parameter | value |\n|---|---|\n{rows}"
        return ""

    def log(self, epoch: Epoch) -> None:
        """A point on each curve."""
        writer = self._writer(f"{epoch.fit}/{epoch.phase}")
        for name, value in epoch.numbers.items():
            if name not in _NO_CURVES:
                writer.add_scalar(name, value, int(epoch.numbers["epoch"]))
        writer.flush()

    def finish(self, ending: Ending) -> None:
        """The parameters and the scores, beside the curves."""
        if self._writers:
            writer = self._writer("")
            writer.add_text("parameters", self._parameters)
            for name, value in ending.scores.items():
                writer.add_scalar(f"scores/{name}", value)
        self.close()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, name: str) -> SummaryWriter:
        if name not in self._writers:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writers[name] = SummaryWriter(str(self._folder / name))
        return self._writers[name]
