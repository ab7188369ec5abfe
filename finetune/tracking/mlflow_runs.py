"""A run of MLflow: in the store that the environment names, or in a local one."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from finetune.cache import make_private
from finetune.run import RunDirectory
from finetune.tracking.secrets import without_password
from finetune.tracking.tracker import Beginning, Ending, Epoch

STORE = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # else how it is used is sent to its makers
    # Of 7 retries a server that is gone would hold the training up for four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}
_AT_ONCE = 100
"""Parameters that a server takes in one request."""


class MLflowRun:
    """A run of the experiment that ``MLFLOW_EXPERIMENT_NAME`` names, or ``finetune``.

    Curves of fits that only judge phases have the fit's name before theirs.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.place = ""
        self._client: Any = None
        self._id = ""

    def start(self, beginning: Beginning, known: str) -> str:
        """Make a run with its parameters, or take up the one called ``known``."""
        uri = os.environ.get(STORE) or local_store()
        self.place = _place(uri)
        with _quiet():
            self._client = _client(uri)
            self._id = known or self._made(uri, beginning)
            self._client.update_run(self._id, status="RUNNING")
        return self._id

    def log(self, epoch: Epoch) -> None:
        """A point on each curve, and the phase's place in the recipe: metrics are numbers."""
        before = "" if epoch.fit == "main" else f"{epoch.fit}/"
        numbers = {"phase": float(epoch.place), **epoch.numbers}
        self._metrics({before + name: value for name, value in numbers.items()}, epoch.step)

    def finish(self, ending: Ending) -> None:
        """The run directory's files, the scores, and which phase was kept."""
        for file in ending.files:
            folder = file.parent.relative_to(ending.root).as_posix()
            self._client.log_artifact(self._id, str(file), None if folder == "." else folder)
        self._metrics(ending.scores, 0)
        self._client.set_tag(self._id, "kept", ending.kept)
        self._client.set_terminated(self._id, "FINISHED")

    def close(self) -> None:
        """Call the run killed: it is not finished, and nobody is at work on it."""
        self._client.set_terminated(self._id, "KILLED")

    def _made(self, uri: str, beginning: Beginning) -> str:
        from mlflow.entities import Param

        experiment = _experiment(self._client, uri)
        tags = {"data": beginning.data}
        run = self._client.create_run(experiment, tags=tags, run_name=beginning.name)
        params = [Param(key, value) for key, value in beginning.parameters.items()]
        for first in range(0, len(params), _AT_ONCE):
            self._client.log_batch(run.info.run_id, params=params[first : first + _AT_ONCE])
        return str(run.info.run_id)

    def _metrics(self, numbers: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 10**6
        metrics = [Metric(name, value, now, step) for name, value in numbers.items()]
        self._client.log_batch(self._id, metrics=metrics)


def local_store() -> str:
    """The store where the environment names none: a database in the person's data folder."""
    return f"sqlite:///{make_private(_folder()) / 'mlflow.db'}"


def _folder() -> Path:
    return Path(platformdirs.user_data_dir("finetune", False)) / "mlflow"


def _client(uri: str) -> Any:
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _experiment(client: Any, uri: str) -> str:
    name = os.environ.get(EXPERIMENT) or "finetune"
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # A server knows where to keep artefacts. A database would have them in the working directory,
    # which may be DATA's.
    place = (_folder() / "artifacts").as_uri() if _is_database(uri) else None
    return str(client.create_experiment(name, artifact_location=place))


def _is_database(uri: str) -> bool:
    return uri.startswith(("sqlite", "postgresql", "mysql", "mssql"))


def _place(uri: str) -> str:
    shown = without_password(uri)
    return f"mlflow ui --backend-store-uri {shown}" if _is_database(uri) else shown


@contextmanager
def _quiet() -> Iterator[None]:
    """A new database is told of in a dozen lines of the makers' own."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
