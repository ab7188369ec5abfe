"""The report of a run and its model card, made again."""

from __future__ import annotations

from pathlib import Path

from finetune.api.planning import PathName
from finetune.deploy.result import Run
from finetune.run import RunDirectory


def report(run: PathName | Run) -> Path:
    """Write ``report.html`` and ``model/README.md`` into a run directory, from what is in it alone.

    A training does so at its end; once more is of use after an update of finetune, or for a run
    that an older one made, whose pictures are then missing.

    Args:
        run: A run directory whose training has ended, or its `Run`.

    Returns:
        The page, which opens without a network.

    Raises:
        RunError: There is no such run, it has not come to its end, or a file can't be read.
        DataError: Its list of images can't be read.
    """
    return (run if isinstance(run, Run) else Run(RunDirectory(Path(run)))).report()
