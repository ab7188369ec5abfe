"""What a suggested recipe says of itself before its first key."""

from __future__ import annotations

from collections.abc import Iterator

from finetune.choosing.depth import Facts
from finetune.choosing.rules import IMBALANCED
from finetune.choosing.traits import DataTraits, MachineTraits, ProbeTraits
from finetune.text import byte_size, duration, plural

PROMISE = (
    "Keys without a comment hold their defaults, or what was given with --set. `finetune recipes "
    "schema` tells what each does."
)


def paragraphs(name: str, facts: Facts, network: str, seconds: float | None) -> Iterator[str]:
    """Of the images, the machine, the probe and the time.

    Args:
        name: What DATA is called.
        facts: What the choice hung on.
        network: Where the network comes from.
        seconds: What the training takes; None: not known.
    """
    yield f"Made by --recipe auto for {name}, and for the machine that it was made on."
    yield " ".join(_images(facts.data))
    yield " ".join(_machine(facts.machine))
    yield _probe(facts.probe, network)
    yield _time(seconds)
    yield PROMISE


def _images(data: DataTraits) -> Iterator[str]:
    yield (
        f"Images: {data.images:,} to learn from, in {plural(data.classes, 'class', 'classes')} of "
        f"{data.smallest:,} to {data.largest:,}; {data.side:.0f} px on the shorter side, "
        f"{data.aspect:.1f} times as long as wide (medians); {data.grey:.0%} stored in grey. "
        "Validation and test images had no part in the choice."
    )
    if data.imbalance >= IMBALANCED:
        yield (
            f"The largest class has {data.imbalance:.0f} times the images of the smallest: look at "
            "the balanced accuracy and at each class's recall; where rare classes matter as much "
            "as common ones, take the recipe imbalanced."
        )


def _machine(machine: MachineTraits) -> Iterator[str]:
    memory = f", {byte_size(machine.memory)} of memory" if machine.memory else ""
    yield f"Machine: {machine.device}, {plural(machine.cores, 'core')}{memory}."


def _probe(probe: ProbeTraits | None, network: str) -> str:
    if probe is None:
        return f"Probe: none was tried ({network})."
    return (
        f"Probe: a linear one on frozen features ({network}), out of fold on "
        f"{plural(probe.images, 'training image')}: accuracy {probe.accuracy:.3f}, log loss "
        f"{probe.log_loss:.2f} nats."
    )


def _time(seconds: float | None) -> str:
    return f"Time: about {duration(seconds)} here." if seconds else "Time: not known."
