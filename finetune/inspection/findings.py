"""What a check of DATA found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from finetune.data.copies.leaks import Leak
from finetune.data.files.looking import Look
from finetune.data.fixes import Fix
from finetune.data.manifest import PARTS, Item
from finetune.data.metadata import MetadataLeak
from finetune.inspection.suspects import Suspect
from finetune.text import listed, plural


@dataclass(frozen=True, slots=True)
class Problem:
    """Something odd about one picture.

    Attributes:
        path: Of the image.
        kind: One word: ``tiny``, ``blank``, ``blurred``, ...
        message: What was seen.
    """

    path: str
    kind: str
    message: str


@dataclass(frozen=True)
class Copies:
    """Images that show the same picture.

    Attributes:
        places: Of the items, ascending.
        kind: ``exact`` if their bytes are the same, else ``near``.
    """

    places: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Lookalike:
    """Two images that a pretrained network takes for nearly the same, and pixels don't.

    Attributes:
        first: Place of an item.
        second: Place of another.
        cosine: Of their features; 1 is the same direction.
    """

    first: int
    second: int
    cosine: float


@dataclass(frozen=True)
class Findings:
    """What a check of DATA found; places are those of ``items``.

    Attributes:
        name: Of DATA.
        root: The folder that paths are relative to.
        items: One a file, with the parts that DATA brings; empty parts where it brings none.
        divided: The same with the parts that a training would work with.
        looks: Of the images that can be read, by path.
        copies: Images that show the same picture.
        leaks: Copies on two sides of DATA's own splits.
        problems: Odd pictures, by path.
        metadata: Traits of the files that tell the classes apart.
        lookalikes: Pairs that features find; None where no weights were given.
        notes: What was done with DATA, a sentence each.
        suspects: Images whose label a linear probe on features doubts, the most doubtful first;
            None where no weights were given.
        warnings: What else a person should look at, a sentence each.
        advice: What to do, a sentence each with its reason.
        fixes: What could be done about single images.
    """

    name: str
    root: Path
    items: Sequence[Item]
    divided: Sequence[Item]
    looks: Mapping[str, Look]
    copies: Sequence[Copies]
    leaks: Sequence[Leak]
    problems: Sequence[Problem]
    metadata: Sequence[MetadataLeak]
    lookalikes: Sequence[Lookalike] | None
    notes: Sequence[str]
    suspects: Sequence[Suspect] | None
    warnings: Sequence[str]
    advice: Sequence[str]
    fixes: Sequence[Fix]

    @cached_property
    def bad(self) -> list[Item]:
        """The files that can't be read."""
        return [item for item in self.items if item.status == "bad"]

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images of each class in each part, as a training would divide them."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for item in self.divided:
            if item.status == "ok":
                found[item.label][item.split] += 1
        return {name: {part: found[name][part] for part in PARTS} for name in sorted(found)}

    @cached_property
    def conflicts(self) -> list[Copies]:
        """Copies that carry different labels, each picture once."""
        near = {place for each in self.copies if each.kind == "near" for place in each.places}
        return [
            each
            for each in self.copies
            if len({self.items[place].label for place in each.places}) > 1
            and (each.kind == "near" or each.places[0] not in near)
        ]

    def sentences(self) -> list[str]:
        """All that a person should look at, besides files and copies: the gravest first."""
        return [
            *_on_conflicts([self.items[place] for each in self.conflicts[:1]
                            for place in each.places], len(self.conflicts)),
            *map(_on_metadata, self.metadata),
            *self.warnings,
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The contents of ``check.json``."""
        return {
            "data": self.name,
            "files": len(self.items),
            "classes": self.counts,
            "bad": [{"path": item.path, "reason": item.reason} for item in self.bad],
            "duplicates": [self._copies_to_dict(each) for each in self.copies],
            "leaks": [self._leak_to_dict(leak) for leak in self.leaks],
            "problems": [
                {"path": p.path, "kind": p.kind, "message": p.message} for p in self.problems
            ],
            "metadata": [
                {"trait": m.trait, "accuracy": m.accuracy, "baseline": m.baseline, "n": m.n}
                for m in self.metadata
            ],
            "lookalikes": self._lookalikes_to_list(),
            "notes": list(self.notes),
            "suspects": self._suspects_to_list(),
            "warnings": self.sentences(),
            "advice": list(self.advice),
        }

    def _copies_to_dict(self, copies: Copies) -> dict[str, Any]:
        items = [self.items[place] for place in copies.places]
        return {
            "paths": [item.path for item in items],
            "kind": copies.kind,
            "labels": [item.label for item in items],
            "splits": [item.split for item in items],
        }

    def _leak_to_dict(self, leak: Leak) -> dict[str, Any]:
        pair = self.items[leak.first], self.items[leak.second]
        return {
            "paths": [item.path for item in pair],
            "splits": [item.split for item in pair],
            "kind": leak.kind,
        }

    def _lookalikes_to_list(self) -> list[dict[str, Any]] | None:
        if self.lookalikes is None:
            return None
        return [
            {
                "paths": [self.items[each.first].path, self.items[each.second].path],
                "labels": [self.items[each.first].label, self.items[each.second].label],
                "cosine": each.cosine,
            }
            for each in self.lookalikes
        ]

    def _suspects_to_list(self) -> list[dict[str, Any]] | None:
        if self.suspects is None:
            return None
        return [
            {"path": self.items[each.place].path, "given": each.given,
             "suggested": each.suggested, "confidence": each.confidence, "margin": each.margin}
            for each in self.suspects
        ]  # fmt: skip


def _on_conflicts(first: Sequence[Item], count: int) -> Iterator[str]:
    """A sentence on ``count`` conflicts, the first of which is between the items ``first``."""
    if first:
        one = first[0]
        other = next(item for item in first if item.label != one.label)
        told = " and ".join(f"{item.path} ({item.label})" for item in (one, other))
        stands = plural(count, "picture stands", "pictures stand")
        yield f"{stands} in several classes: {listed([told])}"


def _on_metadata(leak: MetadataLeak) -> str:
    return (
        f"the {leak.trait} of a file alone tells its class with an accuracy of {leak.accuracy:.2f} "
        f"(guessing: {leak.baseline:.2f}); a network can learn that in place of the picture"
    )
