"""The form of a run's files, as far as a report reads them: what was edited or cut is told."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from finetune.errors import RunError
from finetune.run import RunDirectory
from finetune.text import listed

MEND = "Copy the file again from where the run was made, or train again."
"""What to do about a file that is not as it was written."""


class _Form(BaseModel):
    """Keys that are read, strictly; there may be more of them."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Score(_Form):
    value: float | None
    low: float | None
    high: float | None


def _whole(score: _Score) -> _Score:
    if len({score.value is None, score.low is None, score.high is None}) > 1:
        raise ValueError("has to have value, low and high, or none of them")
    return score


_Whole = Annotated[_Score, AfterValidator(_whole)]


class _ClassScores(_Form):
    precision: _Whole
    recall: _Whole
    f1: _Whole
    support: int


class _Baseline(_Form):
    majority: _Whole


class _Abstention(_Form):
    answered: _Whole
    accuracy: _Whole


class _Leaked(_Form):
    n: int
    accuracy_without: _Whole


class _Metrics(_Form):
    split: Literal["val", "test"]
    n: Annotated[int, Field(ge=0)]
    groups: int
    classes: Annotated[list[str], Field(min_length=2)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    accuracy: _Whole
    balanced_accuracy: _Whole
    macro_f1: _Whole
    roc_auc: _Whole
    average_precision: _Whole
    log_loss: _Whole
    brier: _Whole
    ece: _Whole
    baseline: _Baseline
    per_class: dict[str, _ClassScores]
    ece_by_chance: float | None
    unsure: dict[str, str]
    abstention: _Abstention | None = None
    leaked: _Leaked | None = None


class _Stage(_Form):
    stage: str
    parameters: int
    trained: int
    batch_norm: str | None
    lr: float | None


class _Frozen(_Form):
    tensors: int
    digest_before: str
    digest_after: str


class _Phase(_Form):
    name: str
    train: str
    ended: str
    kept: bool
    choice: str
    solver: str | None = None
    seconds: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    stages: list[_Stage] = []
    frozen: _Frozen | None = None


class _Phases(_Form):
    kept: str
    refitted: bool
    temperature: float
    calibrated_on: str
    phases: list[_Phase]


class _Named(_Form):
    file: str


class _Data(_Form):
    given: str
    digest: str
    named: dict[str, _Named]


class _Weights(_Form):
    asked: str | None
    source: str
    architecture: str
    pretrained: bool
    licence: str | None
    digest: str | None


class _Environment(_Form):
    python: str
    packages: dict[str, str]
    system: str
    processor: str
    cores: int
    device: str
    data: _Data
    weights: _Weights


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
    metrics = _read(run, run.metrics, _Metrics)
    if set(metrics["per_class"]) != set(metrics["classes"]):
        raise _unlike(run.metrics, "per_class is not of the classes that classes names")
    return metrics


def read_phases(run: RunDirectory) -> Mapping[str, Any]:
    """``phases.json``."""
    return _read(run, run.phases, _Phases)


def read_environment(run: RunDirectory) -> Mapping[str, Any]:
    """``environment.json``."""
    return _read(run, run.environment, _Environment)


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
