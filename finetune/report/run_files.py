"""A run's files, as far as a report reads them: what was edited or cut is told."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from finetune.errors import RunError
from finetune.report.run_forms import Environment, Metrics, Phases
from finetune.run import RunDirectory
from finetune.text import listed

MEND = "Copy the file again from where the run was made, or train again."
"""What to do about a file that is not as it was written."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A row of ``log.csv``, as `finetune.training.log.LogRow` says.

    Attributes:
        fit: ``main``, or that of a fold.
        phase: The phase's name.
        number: From 1 within the phase.
        train_loss: As it was minimised.
        val_log_loss: On the validation part; None without one.
    """

    fit: str
    phase: str
    number: int
    train_loss: float
    val_log_loss: float | None


def read_metrics(run: RunDirectory) -> Mapping[str, Any]:
    """``metrics.json``.

    Raises:
        RunError: It is missing, or not as a training writes it; so for all that are read here.
    """
    metrics = _read(run, run.metrics, Metrics)
    if set(metrics["per_class"]) != set(metrics["classes"]):
        raise _unlike(run.metrics, "per_class is not of the classes that classes names")
    return metrics


def read_phases(run: RunDirectory) -> Mapping[str, Any]:
    """``phases.json``."""
    return _read(run, run.phases, Phases)


def read_environment(run: RunDirectory) -> Mapping[str, Any]:
    """``environment.json``."""
    return _read(run, run.environment, Environment)


def read_epochs(run: RunDirectory) -> list[Epoch]:
    """``log.csv``; nothing where no phase has epochs."""
    if not run.log.is_file():
        return []
    try:
        with run.log.open(newline="", encoding="utf-8") as file:
            return [_epoch(row) for row in csv.DictReader(file, strict=True)]
    except KeyError as error:
        raise _unlike(run.log, f"{error.args[0]} is missing") from error
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise _unlike(run.log, str(error)) from error


def _epoch(row: Mapping[str, str]) -> Epoch:
    judged = row["val_log_loss"]
    return Epoch(
        fit=row["fit"],
        phase=row["phase"],
        number=int(row["epoch"]),
        train_loss=float(row["train_loss"]),
        val_log_loss=float(judged) if judged else None,
    )


def _read(run: RunDirectory, place: Path, form: type[BaseModel]) -> Mapping[str, Any]:
    value: Mapping[str, Any] = run.read_json(place)
    try:
        form.model_validate(value)
    except ValidationError as error:
        faults = [_fault(each) for each in error.errors(include_url=False)]
        raise _unlike(place, listed(faults, 3)) from error
    return value


def _fault(error: Any) -> str:
    """``accuracy.low is missing``."""
    place = ".".join(map(str, error["loc"])) or "it"
    if error["type"] == "missing":
        return f"{place} is missing"
    if error["type"] == "value_error":
        return f"{place} {error['ctx']['error']}"
    return f"{place}: {error['msg'].removeprefix('Input ')}"


def _unlike(place: Path, told: str) -> RunError:
    return RunError(f"is not as a training writes it: {told}", where=str(place), mend=MEND)
