"""A run of Weights & Biases; its files lie in the run directory until somebody sends them."""

from __future__ import annotations

import os
from typing import Any

from finetune.run import RunDirectory
from finetune.tracking.tracker import Beginning, Ending, Epoch

MODE = "WANDB_MODE"
PROJECT = "WANDB_PROJECT"

_OFFLINE = ("offline", "dryrun")
_LONGEST_TAG = 64

_NOTHING_ELSE = {
    "silent": True,
    "console": "off",
    "save_code": False,
    "disable_code": True,
    "disable_git": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""What the library would collect by itself: the terminal, code, the repository, the machine."""


class WandbRun:
    """A run of the project that ``WANDB_PROJECT`` names, or ``finetune``.

    Offline unless ``WANDB_MODE`` says otherwise: only the environment makes it send anything.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.place = ""
        self._directory = run
        self._run: Any = None

    def start(self, beginning: Beginning, known: str) -> str:
        """Make a run with its parameters, or go on with the one called ``known``."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to its makers
        import wandb

        mode: Any = os.environ.get(MODE) or "offline"
        self._run = wandb.init(
            project=os.environ.get(PROJECT) or "finetune",
            name=beginning.name,
            id=known or None,
            # Offline there is nobody to ask; sending puts the parts of one run together.
            resume="allow" if known and mode not in _OFFLINE else None,
            reinit="create_new",  # a notebook may be at work on a run of its own
            dir=str(self._directory.path),
            mode=mode,
            config=dict(beginning.parameters),
            tags=[beginning.data[:_LONGEST_TAG]],
            settings=wandb.Settings(**_NOTHING_ELSE),
        )
        sending = f"wandb sync {self._directory.wandb}/offline-run-*"
        self.place = sending if mode in _OFFLINE else self._run.url or mode
        return str(self._run.id)

    def log(self, epoch: Epoch) -> None:
        """A row of the history."""
        before = "" if epoch.fit == "main" else f"{epoch.fit}/"
        row = {"phase": epoch.phase, **epoch.numbers}
        told = {before + name: value for name, value in row.items()}
        self._run.log(told, step=epoch.step, commit=True)  # the last row is not left to the end

    def finish(self, ending: Ending) -> None:
        """The scores, which phase was kept, and the run directory's files as an artefact."""
        import wandb

        artefact = wandb.Artifact(f"run-{self._run.id}", type="run")
        for file in ending.files:
            # Immutable: taken from where it lies, and not copied to the person's home first.
            name = file.relative_to(ending.root).as_posix()
            artefact.add_file(str(file), name=name, policy="immutable")
        self._run.log_artifact(artefact)
        self._run.summary.update({**ending.scores, "kept": ending.kept})
        self._run.tags = (*self._run.tags, ending.kept[:_LONGEST_TAG])
        self._run.finish()

    def close(self) -> None:
        """End as interrupted."""
        self._run.finish(exit_code=1)
