"""The tables of a run's report: scores, classes, files, stages, versions."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from finetune.evaluation.names import SCORE_NAMES
from finetune.report.evidence import Evidence
from finetune.report.pictures import Section, Table
from finetune.text import duration, plural

_MOST_ROWS = 100
_MOST_CLASSES = 200


@dataclass(frozen=True)
class ScoreRow:
    """A score in words.

    Attributes:
        name: What people call it.
        score: ``value``, ``low`` and ``high``.
        doubt: Why it can't be relied on, or ``""``.
    """

    name: str
    score: Mapping[str, float | None]
    doubt: str


def score_rows(metrics: Mapping[str, Any]) -> list[ScoreRow]:
    """The scores of all images, then what a guess would score."""
    rows = [
        ScoreRow(name, metrics[key], metrics["unsure"].get(key, ""))
        for key, name in SCORE_NAMES.items()
    ]
    guess = metrics["baseline"]["majority"]
    return [*rows, ScoreRow("accuracy of always answering the commonest class", guess, "")]


@dataclass(frozen=True)
class ClassScores:
    """A class with its scores, as ``metrics.json`` has them, and how many images it has."""

    name: str
    support: int
    recall: Mapping[str, float | None]
    precision: Mapping[str, float | None]
    f1: Mapping[str, float | None]


def class_scores(metrics: Mapping[str, Any]) -> list[ClassScores]:
    """The classes, the weakest first, at most 200."""
    rows = [ClassScores(name=name, **row) for name, row in metrics["per_class"].items()]
    rows.sort(key=lambda row: (row.f1["value"] or 0.0, row.name))
    return rows[:_MOST_CLASSES]


def data_sections(evidence: Evidence) -> list[Section]:
    """What is to be known of the data; nothing where nothing was found."""
    return [each for each in (_leaked(evidence), _unreadable(evidence)) if each.count]


def _leaked(evidence: Evidence) -> Section:
    found = [i for i in evidence.items if i.copy_of and i.split == "test" and i.status == "ok"]
    rows = [(item.path, item.label, item.copy_of) for item in found[:_MOST_ROWS]]
    return Section(
        "leaked",
        "Test images that stand in an earlier part too",
        "The model has learnt from these pictures, or was chosen on them, so that it does too well "
        "on them. Mend the splits; or train with `--set data.on_leak=drop`.",
        len(found),
        table=Table(("Image", "Class", "Shows the same as"), rows, texts=3),
        entries=len(found),
    )


def _unreadable(evidence: Evidence) -> Section:
    found = [item for item in evidence.items if item.status == "bad"]
    rows = [(item.path, item.label, item.reason) for item in found[:_MOST_ROWS]]
    return Section(
        "unreadable",
        "Files that could not be read",
        "They took no part. Put whole files in their place, or take them away.",
        len(found),
        table=Table(("File", "Class", "Reason"), rows, texts=3),
        entries=len(found),
    )


def images_by_part(evidence: Evidence) -> list[tuple[str, int]]:
    """What each part is for, and its images."""
    names = {"train": "to learn from", "val": "to choose on", "test": "to be judged by"}
    found = Counter(item.split for item in evidence.items if item.status == "ok")
    return [(name, found[part]) for part, name in names.items() if found[part]]


@dataclass(frozen=True)
class PhaseAudit:
    """A phase of the training.

    Attributes:
        name: Of the phase.
        facts: What is said of it, each with a heading.
        stages: Rows of stage, parameters, trained ones, BatchNorm, rate; empty if it was not run.
        unmoved: Whether all that was frozen stayed as it was; None where nothing was frozen.
        tensors: How many were frozen.
    """

    name: str
    facts: list[tuple[str, str]]
    stages: list[tuple[str, ...]]
    unmoved: bool | None
    tensors: int


def phase_audits(phases: Mapping[str, Any]) -> list[PhaseAudit]:
    """A record for each phase, in their order."""
    return [_audit(record) for record in phases["phases"]]


def _audit(record: Mapping[str, Any]) -> PhaseAudit:
    frozen = record.get("frozen") or {"tensors": 0}
    unmoved = frozen["digest_before"] == frozen["digest_after"] if frozen["tensors"] else None
    stages: list[tuple[str, ...]] = [
        (
            row["stage"],
            f"{row['parameters']:,}",
            f"{row['trained']:,}",
            row["batch_norm"] or "none",
            "–" if row["lr"] is None else f"{row['lr']:.2g}",
        )
        for row in record.get("stages", ())
    ]
    return PhaseAudit(record["name"], list(_facts(record)), stages, unmoved, frozen["tensors"])


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Trains", record["train"]
    if record.get("solver"):
        yield "Solver", record["solver"]
    if record.get("epochs") is not None:
        best = record.get("best_epoch")
        yield "Epochs", f"{record['epochs']}" + (f", the best is {best}" if best else "")
    if record.get("race"):
        yield "Peak rate", _raced(record["race"])
    if record.get("seconds") is not None:
        yield "Took", duration(record["seconds"])
    yield "Ended", record["ended"]
    yield "Kept" if record["kept"] else "Not kept", record["choice"]


def _raced(race: Mapping[str, Any]) -> str:
    """Which rate won, and how far each of the others came."""
    last = {lap["rate"]: lap for lap in race["laps"]}  # rungs follow one another
    told = ", ".join(
        f"{rate:g} ({_lap_loss(lap)} after {lap['images']:,} images)" for rate, lap in last.items()
    )
    images = plural(race["judged_images"], "image")
    return f"{race['won']:g} won a race by log loss on {images}: {told}"


def _lap_loss(lap: Mapping[str, Any]) -> str:
    return "no number" if lap["log_loss"] is None else f"{lap['log_loss']:.4f}"


def surroundings(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Machine, weights and versions, each with a heading."""
    weights = environment["weights"]
    rows = {
        "Data": environment["data"]["given"],
        "Digest of the data": environment["data"]["digest"],
        "Weights": weights["source"],
        "Licence of the weights": weights["licence"],
        "Digest of the weights": weights["digest"],
        "Machine": f"{environment['processor']}, {environment['cores']} cores",
        "System": environment["system"],
        "Device": environment["device"],
        "Python": environment["python"],
    } | environment["packages"]
    return [(name, str(value)) for name, value in rows.items() if value]


def repeated(evidence: Evidence) -> str:
    """The command that repeats the run, with ``RUN`` for its directory."""
    environment = evidence.environment
    words = ["finetune", "train", environment["data"]["given"], "--recipe", "RUN/recipe.yaml"]
    if asked := environment["weights"]["asked"]:
        words += ["--weights", asked]
    for key, named in environment["data"]["named"].items():
        words += ["--set", f"{key}={named['file']}"]
    return shlex.join(words)
