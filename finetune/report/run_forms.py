"""The form of a run's JSON files: the keys that a report reads, and what may stand there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


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


class Metrics(_Form):
    """``metrics.json``."""

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


class _Lap(_Form):
    rung: int
    rate: float
    images: int
    log_loss: float | None


class _Race(_Form):
    won: float
    judged_images: int
    laps: list[_Lap]


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
    race: _Race | None = None


class Phases(_Form):
    """``phases.json``."""

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


class Environment(_Form):
    """``environment.json``."""

    python: str
    packages: dict[str, str]
    system: str
    processor: str
    cores: int
    device: str
    data: _Data
    weights: _Weights
