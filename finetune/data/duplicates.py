from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.console import Reporter


@dataclass(frozen=True, slots=True)
class Pair:
    first: int
    second: int
    kind: Literal["exact", "near"]
    likeness: float


def duplicate_pairs(
    digests: Sequence[str], fingerprints: Sequence[bytes], reporter: Reporter
) -> list[Pair]:
    first: dict[str, int] = {}
    return [
        Pair(first[d], i, "exact", 1.0)
        for i, d in enumerate(digests)
        if d and first.setdefault(d, i) != i
    ]


def clusters(pairs: Sequence[Pair], count: int) -> list[list[int]]:
    by: dict[int, list[int]] = {}
    for p in pairs:
        by.setdefault(p.first, [p.first]).append(p.second)
    return list(by.values())
