"""The run directory: the one place that knows its file names.

A run directory is the whole truth about a training. Whatever reports on, repeats or resumes it
reads these files and nothing else; each is written whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import RunError
from finetune.files import PART, sweep, write_json, write_text
from finetune.locking import locked

_ELSEWHERE = "Name another place with --out."


@dataclass(frozen=True)
class RunDirectory:
    """A folder that holds a training and its evidence."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The recipe, resolved and complete."""
        return self.path / "recipe.yaml"

    @property
    def data(self) -> Path:
        """The data manifest: a row per file, with its digest."""
        return self.path / "data.csv"

    @property
    def environment(self) -> Path:
        """Versions, machine, weights, and where DATA lay."""
        return self.path / "environment.json"

    @property
    def phases(self) -> Path:
        """The freeze audit, and why each phase ended and was kept or not."""
        return self.path / "phases.json"

    @property
    def log(self) -> Path:
        """A row per epoch."""
        return self.path / "log.csv"

    @property
    def tensorboard(self) -> Path:
        """The same curves for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def trackers(self) -> Path:
        """What trackers call the run, and what of it they have."""
        return self.path / "trackers.json"

    @property
    def wandb(self) -> Path:
        """What Weights & Biases keeps of the run, to be sent."""
        return self.path / "wandb"

    @property
    def checkpoints(self) -> Path:
        """What resuming needs; not needed once the run is complete."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The classifier, as ``timm.create_model("local-dir:...")`` loads it."""
        return self.path / "model"

    @property
    def model_card(self) -> Path:
        """What the classifier is for and how good it is, in the form of the model hub."""
        return self.model / "README.md"

    @property
    def predictions(self) -> Path:
        """What the classifier says of each test image; of validation images, what was said before.

        A solved head that is kept learns from them at the end, and would then answer what it knows.
        """
        return self.path / "predictions.csv"

    @property
    def out_of_fold(self) -> Path:
        """What is said of training images by weights that had not learnt from them, if any is."""
        return self.path / "out_of_fold.csv"

    @property
    def metrics(self) -> Path:
        """The scores on the test part."""
        return self.path / "metrics.json"

    @property
    def images(self) -> Path:
        """Thumbnails of the images that the report shows, and heat maps of some."""
        return self.path / "images"

    @property
    def report(self) -> Path:
        """A page for people, with all that it shows inside."""
        return self.path / "report.html"

    @property
    def lock(self) -> Path:
        """Who is at work in it; there only as long as somebody is, or was killed."""
        return self.path / ".lock"

    @property
    def complete(self) -> bool:
        """Whether the training came to its end; the scores are written last."""
        return self.metrics.is_file()

    def evidence(self) -> list[Path]:
        """Its files as a tracker keeps them: not what only resuming wants, nor anybody else's."""
        kept = [
            *(self.recipe, self.data, self.environment, self.phases, self.log, self.tensorboard),
            *(self.model, self.predictions, self.metrics, self.images, self.report),
        ]
        files = (file for each in kept for file in ([each] if each.is_file() else each.rglob("*")))
        return sorted(file for file in files if file.is_file() and not _is_part(file))

    def read_json(self, path: Path) -> Any:
        """The value in one of its JSON files.

        Raises:
            RunError: The file is missing or no JSON.
        """
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(
                f"there is no {path.name} in it",
                where=str(self.path),
                mend="Name a run directory, as `finetune train` makes them.",
            ) from None
        except (OSError, ValueError) as error:
            raise RunError(f"{path.name} can't be read: {error}", where=str(self.path)) from error

    def write_text(self, path: Path, text: str) -> None:
        """Write one of its text files."""
        write_text(path, text)

    def write_json(self, path: Path, value: Any) -> None:
        """Write one of its JSON files."""
        write_json(path, value)


def is_run(path: Path) -> bool:
    """Whether ``path`` is a run directory: such a folder is never taken for a class."""
    run = RunDirectory(path)
    return run.recipe.is_file() and run.environment.is_file()


def is_beginning(path: Path) -> bool:
    """Whether ``path`` holds no more than a training that was killed before it had begun.

    Such a run is not gone on with but made again. Its lock file tells it from a folder with a
    recipe and data of somebody's own.
    """
    run = RunDirectory(path)
    if not run.lock.is_file():
        return False
    ours = {run.lock, run.recipe, run.data}
    return all(entry in ours or _is_part(entry) for entry in path.iterdir())


def _is_part(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == PART


@contextmanager
def new_run(path: Path, data: Path) -> Iterator[RunDirectory]:
    """Make a run directory at ``path`` and hold it, alone; it goes again if nothing is begun in it.

    Raises:
        RunError: As for `check_run_place`; or another process holds it, or it can't be made.
    """
    check_run_place(path, data)
    run = RunDirectory(path)
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"can't be made: {error.strerror}", where=str(path)) from error
    try:
        with locked(run.lock):
            check_run_place(path, data)  # again: it may have been used until a moment ago
            _clear_beginning(run)
            try:
                yield run
            finally:
                _clear_beginning(run)
    finally:
        if made:
            _remove_empty(path)


def _clear_beginning(run: RunDirectory) -> None:
    """Remove what a training wrote that did not come to begin."""
    if is_beginning(run.path):
        sweep(run.path)
        run.recipe.unlink(missing_ok=True)
        run.data.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty, or gone
        folder.rmdir()


def check_run_place(path: Path, data: Path) -> None:
    """See to it that a run may be written to ``path``.

    Raises:
        RunError: ``path`` is a file, holds something, lies in the folder ``data``, or can't be
            written to.
    """
    mend = _ELSEWHERE
    check_outside(path, data)
    if path.exists() and not path.is_dir():
        raise RunError("is a file", where=str(path), mend=mend)
    if path.is_dir() and any(path.iterdir()) and not is_beginning(path):
        resume = f" Or go on with it: finetune train --resume {path}" if is_run(path) else ""
        raise RunError("is not empty", where=str(path), mend=mend + resume)
    check_writable(path / "recipe.yaml" if path.is_dir() else path)


def check_outside(path: Path, data: Path) -> None:
    """See to it that ``path`` doesn't lie in the folder ``data``.

    Raises:
        RunError: It does.
    """
    if data.is_dir() and path.resolve().is_relative_to(data.resolve()):
        raise RunError(
            "lies inside DATA, where nothing is ever written", where=str(path), mend=_ELSEWHERE
        )


def check_writable(path: Path) -> None:
    """See to it that a file or folder can be made at ``path``, before work that it is to hold.

    Raises:
        RunError: The nearest folder above it that exists can't be written to.
    """
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise RunError(f"{above} can't be written to", where=str(path), mend=_ELSEWHERE)


@contextmanager
def place_for(out: Path | None, data: Path, recipe_name: str, working: Path) -> Iterator[Path]:
    """``out``, or a folder made at `default_run_path` for nobody else; it goes again if left empty.

    Raises:
        RunError: The folder can't be made.
    """
    if out is not None:
        yield out
        return
    place = _claimed(data, recipe_name, working)
    try:
        yield place
    finally:
        _remove_empty(place)
        _remove_empty(place.parent)


def _claimed(data: Path, recipe_name: str, working: Path) -> Path:
    while True:
        place = default_run_path(data, recipe_name, working)
        check_run_place(place, data)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir()
        except (FileExistsError, FileNotFoundError):
            continue  # another process was quicker to make it, or to remove the folder above
        except OSError as error:
            raise RunError(f"can't be made: {error.strerror}", where=str(place)) from error
        return place


def default_run_path(data: Path, recipe_name: str, working: Path) -> Path:
    """``runs/<data>-<recipe>-<n>`` with the first free ``n``.

    It lies in the working directory, or beside DATA when the working directory lies in DATA.
    """
    folder = data if data.is_dir() else data.parent
    inside = data.is_dir() and working.resolve().is_relative_to(folder.resolve())
    base = (folder.resolve().parent if inside else working) / "runs"
    stem = f"{_plain(_name_of(data.resolve()))}-{recipe_name}"
    number = 1
    while (base / f"{stem}-{number}").exists():
        number += 1
    return base / f"{stem}-{number}"


def _name_of(data: Path) -> str:
    """Without the suffixes of a file; ``photos.tar.gz`` has two."""
    if not data.is_file():
        return data.name
    stem = Path(data.stem)
    return stem.stem if stem.suffix.lower() == ".tar" else stem.name


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:64] or "data"
