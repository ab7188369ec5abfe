"""How deep the phases go: the head alone, the last two stages, or the whole network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from finetune.choosing.suggestion import KeyChoice
from finetune.choosing.traits import DataTraits, MachineTraits, ProbeTraits
from finetune.recipe.loading import load_recipe
from finetune.text import duration, plural

Depth = Literal["head", "last_2", "all"]

FEW = 20
"""Training images under which no fine-tuning is tried: folds of a handful judge nothing. Of some
50 rice leaves, 20 a class, what was kept was right for 0.803 of the test images where the probe was
for 0.750 (two draws, benchmarks/results/auto.md)."""

NEAR_PERFECT = 0.97
"""Accuracy of the probe from which on there is too little left to gain to be worth the time: at
0.971 (ants and bees, 207 images) lp_ft kept the probe, with both seeds that were tried."""

SURE = 100
"""Images that such an accuracy has to be of: fewer say little, and with them trying is quick."""

QUICK = 300.0
"""Seconds that solving a probe may take: with thousands of classes it is not tried."""

PATIENCE = 3600.0
"""Seconds that a training may take before a shallower one is chosen: an hour."""

_SOLVER_SECONDS = 2e-7
"""That solving a head takes for each image, feature and class, with its folds, on one core: 2 s for
1,000 images, 1,280 features and 10 classes."""

_SOLVER_BYTES = 12
"""That it takes for each image and feature."""


@dataclass(frozen=True)
class Facts:
    """What the choice of phases hangs on.

    Attributes:
        data: The training images.
        machine: What computes.
        probe: How a linear probe does; None where none was tried.
        width: Inputs of the network's classifier; 0: not known.
        seconds: What a training takes here whose phases go so deep; None: not known.
    """

    data: DataTraits
    machine: MachineTraits
    probe: ProbeTraits | None
    width: int
    seconds: Callable[[Depth], float] | None


def phase_choices(facts: Facts) -> list[KeyChoice]:
    """The phases, and why.

    Their numbers are those of the fixed recipes: the probe and the whole network of ``lp_ft``,
    which were searched out-of-fold, or everything from the first step as in ``full_finetune``.
    """
    if not is_solvable(facts):
        return [_from_the_first_step(facts.data)]
    depth, why = depth_for(facts)
    phases = KeyChoice("phases", phases_to(depth), why)
    return [phases] if depth == "head" else [phases, *_why_tuned_so()]


def phases_to(depth: Depth) -> list[dict[str, Any]]:
    """The phases of a training that goes so deep."""
    if depth == "head":
        return _phases_of("linear_probe")
    probe, tune = _phases_of("lp_ft")
    return [probe, tune | {"train": depth}]


def is_solvable(facts: Facts) -> bool:
    """Whether solving the head takes less than half of `PATIENCE`, and of the memory."""
    data, memory = facts.data, facts.machine.memory
    bytes_ = _SOLVER_BYTES * data.images * min(data.images, facts.width)
    seconds = seconds_to_solve(data.images, facts.width, data.classes)
    return seconds < PATIENCE / 2 and (not memory or bytes_ < memory / 2)


def seconds_to_solve(images: int, width: int, classes: int) -> float:
    """What solving a head takes, roughly, with its folds, on one core."""
    return _SOLVER_SECONDS * images * min(images, width) * classes


def depth_for(facts: Facts) -> tuple[Depth, str]:
    """How deep the phases go, and why."""
    images, probe = facts.data.images, facts.probe
    if images < FEW:
        return "head", (
            f"The head alone: {plural(images, 'image')} are too few to tell whether fine-tuning "
            f"helps (under {FEW})."
        )
    if probe and probe.images >= SURE and probe.accuracy >= NEAR_PERFECT:
        return "head", (
            f"The head alone: on frozen features it is right for {probe.accuracy:.1%} of images "
            "that it has not seen, which leaves hardly anything to gain."
        )
    return _deepest_in_time(facts)


def _deepest_in_time(facts: Facts) -> tuple[Depth, str]:
    room = _room(facts.probe)
    if facts.seconds is None:
        return "all", f"A probe, then the whole network. {room} How long it takes is not known."
    too_long = ""
    words: dict[Depth, str] = {"all": "the whole network", "last_2": "the last two stages"}
    for depth, what in words.items():
        seconds = facts.seconds(depth)
        if seconds <= PATIENCE:
            return depth, f"A probe, then {what}. {room}{too_long}"
        too_long += f" To train {what} would take {duration(seconds)} here."
    return "head", f"The head alone, for the time.{too_long} {room}"


def _room(probe: ProbeTraits | None) -> str:
    if probe is None:
        return "No probe was tried, so that what fine-tuning may gain is not known."
    return (
        f"A probe on frozen features is right for {probe.accuracy:.1%} of images that it has not "
        f"seen (log loss {probe.log_loss:.2f} nats), which leaves room for fine-tuning."
    )


def _from_the_first_step(data: DataTraits) -> KeyChoice:
    why = (
        f"Everything trains from the first step: with {data.images:,} images of "
        f"{plural(data.classes, 'class', 'classes')} a head can't be solved in time or memory, and "
        "so many images need no gentle start."
    )
    return KeyChoice("phases", _phases_of("full_finetune"), why)


def _why_tuned_so() -> list[KeyChoice]:
    """The reasons of numbers that stand in the phase already."""
    _, tune = _phases_of("lp_ft")
    return [
        KeyChoice(
            "phases.tune.optimizer",
            tune["optimizer"],
            "Rate and length as in lp_ft: the best of a few, out-of-fold on small sets.",
        ),
        KeyChoice(
            "phases.tune.batch_norm",
            tune["batch_norm"],
            "Small batches estimate statistics worse than ImageNet's are.",
        ),
    ]


def _phases_of(name: str) -> list[dict[str, Any]]:
    """The phases of a fixed recipe, with what it says and without defaults."""
    return [phase.model_dump(mode="json", exclude_unset=True) for phase in load_recipe(name).phases]
