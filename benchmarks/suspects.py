"""Whether labels that are wrong on purpose are found, and who else is accused.

    python benchmarks/suspects.py DATASETS WEIGHTS [--repeats 5]

DATASETS holds `clothing`, `dtd10`, `hymenoptera` and `riceleaf3`; WEIGHTS is a weights file that
names its network. The network sees each picture once. In each of the repeats, so large a share of
all labels is changed in memory to another class, drawn evenly; a linear probe judges every image
out-of-fold, learning and choosing its regularisation from the labels as changed, as `finetune
check --weights` does. A right suspect is an image whose label was changed. What the sets' own
labels have wrong counts as a false one: the rows of 0 % say how many are accused without a change.

The table is written to `results/suspects.md`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from abstention import Pictures, look

from finetune.evaluation.clusters import group_numbers
from finetune.inspection.suspects import Suspect, suspects
from finetune.training.probing import probed

RESULTS = Path(__file__).parent / "results"
SETS = ("clothing", "dtd10", "hymenoptera", "riceleaf3")
SHARES = (0.0, 0.05, 0.10)


@dataclass(frozen=True)
class Found:
    """A repeat.

    Attributes:
        changed: Images whose label is wrong on purpose.
        suspects: The list.
        right: Those of the list that are among them, in its order.
        mended: How many of them have the old label suggested.
    """

    changed: int
    suspects: list[Suspect]
    right: np.ndarray
    mended: int


def changed_labels(pictures: Pictures, share: float, seed: int) -> np.ndarray:
    """The labels, so many of them another class."""
    generator = np.random.default_rng(seed)
    count = round(share * len(pictures.labels))
    places = generator.choice(len(pictures.labels), count, replace=False)
    steps = generator.integers(1, pictures.classes, count)
    labels = pictures.labels.copy()
    labels[places] = (labels[places] + steps) % pictures.classes
    return labels


def search(pictures: Pictures, share: float, seed: int) -> Found:
    labels = changed_labels(pictures, share, seed)
    rows = probed(pictures.features, labels, pictures.classes, pictures.groups, seed)
    names = [str(number) for number in range(pictures.classes)]
    listed = suspects(rows, labels, names, group_numbers(pictures.groups))
    wrong = labels != pictures.labels
    right = np.array([wrong[each.place] for each in listed], dtype=bool)
    mended = sum(
        wrong[each.place] and str(pictures.labels[each.place]) == each.suggested for each in listed
    )
    return Found(int(wrong.sum()), listed, right, mended)


def row(name: str, images: int, share: float, found: list[Found]) -> str:
    changed = sum(each.changed for each in found)
    listed = sum(len(each.suspects) for each in found)
    right = sum(int(each.right.sum()) for each in found)
    first = sum(int(each.right[: each.changed].sum()) for each in found)
    mended = sum(each.mended for each in found)
    cells = [
        name, f"{images:,}", f"{share:.0%}", f"{changed / len(found):.0f}",
        f"{listed / len(found):.1f}",
        *(f"{one / other:.2f}" if other else "–" for one, other in (
            (right, changed), (right if changed else 0, listed if changed else 0),
            (first, changed), (mended, right))),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def report(every: list[Pictures], repeats: int) -> Iterator[str]:
    yield f"Means of {repeats} repeats; 5 folds, linear probe.\n"
    yield (
        "| data | images | changed | that is | suspects | recall | precision "
        "| recall of the first, as many as were changed | old label suggested |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for pictures in every:
        for share in SHARES:
            found = [search(pictures, share, seed) for seed in range(repeats)]
            yield row(pictures.name, len(pictures.labels), share, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    started = time.perf_counter()
    every = [look(options.datasets / name, options.weights) for name in SETS]
    print(f"features: {time.perf_counter() - started:.0f} s", flush=True)
    text = "\n".join([f"<!-- {options.weights.name} -->", *report(every, options.repeats), ""])
    (RESULTS / "suspects.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
