"""How often the intervals hold the truth.

    python benchmarks/coverage.py [--samples 200] [--processes 2]

Test parts are drawn over and over from a population whose scores are known; the table says in what
share of them each 95 % interval of `finetune.evaluation.metrics.scores` holds the population's
score.

- A picture of class y has the features ``mu * e_y + noise``, normal with variance 1 in C
  dimensions; the classifier answers with the exact probabilities, or with those of logits that are
  1.6 times as large (``overconfident``). ``mu`` is set for the accuracy. Classes keep their sizes.
- In groups: a beta-binomial number of right images in each group, with the correlation rho; and
  pictures whose noise is shared in their group with the correlation rho.
- Wilson's interval is computed, not drawn: its coverage is a sum over the binomial distribution.

The table is written to `results/coverage.md`.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from finetune.evaluation.calibration import softmax
from finetune.evaluation.clusters import share
from finetune.evaluation.intervals import wilson
from finetune.evaluation.metrics import scores

RESULTS = Path(__file__).parent / "results"
CONFIDENCE = 0.95
ACCURACIES = (0.6, 0.8, 0.9, 0.95, 0.98)
RESAMPLES = 200
POPULATION = 200_000

SIZES: tuple[tuple[int, ...], ...] = (
    (25, 25), (10, 40), (10,) * 5,
    (75, 75), (10, 140), (30,) * 5, (10, 10, 20, 40, 70),
    (500, 500), (10, 990), (100,) * 10, (10, 10, 20, 30, 50, 80, 100, 150, 200, 350),
)  # fmt: skip
"""Test parts of 50, 150 and 1,000 images, with ten at least of each class."""

SMALL: tuple[tuple[int, ...], ...] = ((5, 45), (5,) * 10, (3, 3, 144), (3, 7, 10, 30, 100))
"""Parts with smaller classes, where `unsure` has to say so."""


@dataclass(frozen=True)
class Point:
    """A population and the test parts that are drawn from it.

    Attributes:
        sizes: Images of each class in a part.
        accuracy: Share of the population that the classifier has right.
        sharpness: By what its logits are too large; 1 where its probabilities are exact.
        group: Images of one class that share noise.
        rho: Correlation of the noise within groups.
    """

    sizes: tuple[int, ...]
    accuracy: float
    sharpness: float = 1.0
    group: int = 1
    rho: float = 0.0

    @property
    def n(self) -> int:
        return sum(self.sizes)

    @property
    def possible(self) -> bool:
        """Whether the accuracy lies above that of always answering one class."""
        return self.accuracy > max(self.sizes) / self.n + 0.01

    def draw(self, sizes: Sequence[int], mu: float, seed: int) -> tuple[np.ndarray, ...]:
        """Probabilities, labels and groups of a part with ``sizes`` images of each class."""
        generator = np.random.default_rng(seed)
        labels = np.repeat(np.arange(len(sizes)), sizes)
        groups = np.concatenate(
            [np.arange(size) // self.group + 10**6 * c for c, size in enumerate(sizes)]
        )
        _, member = np.unique(groups, return_inverse=True)
        features = generator.normal(size=(len(labels), len(sizes))) * np.sqrt(1 - self.rho)
        if self.rho:
            shared = generator.normal(size=(member.max() + 1, len(sizes)))
            features += np.sqrt(self.rho) * shared[member]
        features[np.arange(len(labels)), labels] += mu
        logits = mu * features + np.log(np.array(self.sizes) / self.n)
        return softmax(logits * self.sharpness, 1.0), labels, groups

    def population(self) -> list[int]:
        factor = max(1, POPULATION // self.n)
        return [size * factor for size in self.sizes]


@cache
def distance(sizes: tuple[int, ...], accuracy: float) -> float:
    """The ``mu`` that gives the accuracy."""
    point = Point(sizes, accuracy)
    whole = [max(1, size * 20_000 // point.n) for size in sizes]

    def excess(mu: float) -> float:
        probabilities, labels, _ = point.draw(whole, mu, 0)
        return float((probabilities.argmax(1) == labels).mean()) - accuracy

    return float(brentq(excess, 0.01, 20, xtol=1e-3))


def measured(
    probabilities: np.ndarray, labels: np.ndarray, groups: Any = None, resamples: int = RESAMPLES
) -> dict[str, Any]:
    classes = [str(c) for c in range(probabilities.shape[1])]
    return scores(
        probabilities, labels, classes, split="test", confidence=CONFIDENCE, resamples=resamples,
        seed=1, majority=len(classes) - 1, groups=groups,
    )  # fmt: skip


def flat(metrics: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """The scores by name; a class's as ``precision:0``."""
    names = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision")
    found = {name: metrics[name] for name in (*names, "log_loss", "brier", "ece")}
    found |= {f"top_{k}": score for k, score in metrics["top_k"].items()}
    for name, kind in itertools.product(metrics["per_class"], ("precision", "recall", "f1")):
        found[f"{kind}:{name}"] = metrics["per_class"][name][kind]
    return found


@dataclass(frozen=True)
class Coverage:
    """How often each interval held the truth at a point, and how wide it was on average."""

    point: Point
    held: dict[str, float]
    width: dict[str, float]
    unsure: frozenset[str]


def cover(task: tuple[Point, int]) -> Coverage:
    """The coverage at a point, of that many samples."""
    point, samples = task
    mu = distance(point.sizes, point.accuracy)
    probabilities, labels, _ = point.draw(point.population(), mu, 10**9)
    population = flat(measured(probabilities, labels, resamples=2))
    truth = {name: score["value"] for name, score in population.items()}
    held: dict[str, list[bool]] = {name: [] for name in truth}
    width: dict[str, list[float]] = {name: [] for name in truth}
    unsure: set[str] = set()
    for seed in range(samples if point.n < 1000 else samples // 2):
        probabilities, labels, groups = point.draw(point.sizes, mu, seed)
        metrics = measured(probabilities, labels, groups if point.group > 1 else None)
        unsure |= set(metrics["unsure"])
        for name, score in flat(metrics).items():
            low, high, true = score["low"], score["high"], truth[name]
            if low is not None and high is not None and true is not None:
                held[name].append(low <= true <= high)
                width[name].append(high - low)
    return Coverage(
        point,
        {name: float(np.mean(each)) for name, each in held.items() if each},
        {name: float(np.mean(each)) for name, each in width.items() if each},
        frozenset(unsure),
    )


def wilson_coverage(n: int, accuracy: float) -> float:
    """In what share of samples Wilson's interval holds the accuracy, exactly."""
    found = [wilson(right, n, CONFIDENCE) for right in range(n + 1)]
    holds = [score.low <= accuracy <= score.high for score in found]  # type: ignore[operator]
    return float(binom.pmf(np.arange(n + 1), n, accuracy)[holds].sum())


def grouped_coverage(groups: int, size: int, accuracy: float, rho: float, samples: int) -> float:
    """In what share of samples `share` holds the accuracy of beta-binomial groups."""
    generator = np.random.default_rng(1)
    member = np.repeat(np.arange(groups), size)
    held = 0
    for _ in range(samples):
        if rho in (0, 1):
            chances = np.full(groups, accuracy) if rho == 0 else generator.random(groups) < accuracy
        else:
            total = 1 / rho - 1
            chances = generator.beta(accuracy * total, (1 - accuracy) * total, groups)
        score = share(generator.random(len(member)) < chances[member], member, CONFIDENCE)
        assert score.low is not None
        assert score.high is not None
        held += score.low <= accuracy <= score.high
    return held / samples


def points() -> list[Point]:
    """All points of the main table."""
    every = (
        Point(sizes, accuracy, sharpness)
        for sizes in (*SIZES, *SMALL)
        for accuracy in ACCURACIES
        for sharpness in ((1.0, 1.6) if accuracy in (0.8, 0.95) else (1.0,))
    )
    return [point for point in every if point.possible]


def grouped_points() -> list[Point]:
    """Parts in groups of five pictures, ten groups at least of each class."""
    sizes: tuple[tuple[int, ...], ...] = ((50, 50), (50,) * 5, (50, 250))
    every = (
        Point(s, a, 1.0, 5, rho) for s in sizes for a in (0.7, 0.9, 0.95) for rho in (0.3, 0.8)
    )
    return [point for point in every if point.possible]


def main_table(found: Sequence[Coverage]) -> Iterator[str]:
    names = [name for name in found[0].held if ":" not in name and not name.startswith("top")]
    yield (
        "| images | classes | smallest | accuracy | logits | " + " | ".join(names) + " | classes' |"
    )
    yield "|" + "---|" * (6 + len(names))
    for each in found:
        point = each.point
        cells = [_cell(each, name) for name in names]
        worst = min(value for name, value in each.held.items() if ":" in name)
        mark = "*" if "class_scores" in each.unsure else ""
        logits = "exact" if point.sharpness == 1 else "overconfident"
        yield (
            f"| {point.n:,} | {len(point.sizes)} | {min(point.sizes)} | {point.accuracy} "
            f"| {logits} | " + " | ".join(cells) + f" | {worst:.3f}{mark} |"
        )


def _cell(each: Coverage, name: str) -> str:
    return f"{each.held[name]:.3f}" + ("*" if name in each.unsure else "")


def summary(found: Sequence[Coverage]) -> Iterator[str]:
    """For each score the lowest and the mean coverage over points."""
    yield "| score | lowest | mean | mean width |"
    yield "|---|---|---|---|"
    kinds: dict[str, list[tuple[float, float]]] = {}
    for each in found:
        for name, value in each.held.items():
            kind = f"{name.partition(':')[0]} of a class" if ":" in name else name
            kinds.setdefault(kind, []).append((value, each.width[name]))
    for kind, values in kinds.items():
        held, width = np.array(values).T
        yield f"| {kind} | {held.min():.3f} | {held.mean():.3f} | {width.mean():.3f} |"


def wilson_table() -> Iterator[str]:
    grid = np.round(np.arange(0.60, 0.9801, 0.01), 2)
    yield "| images | lowest | mean |"
    yield "|---|---|---|"
    for n in (50, 150, 1000):
        held = [wilson_coverage(n, accuracy) for accuracy in grid]
        yield f"| {n:,} | {min(held):.3f} | {np.mean(held):.3f} |"


def group_table(samples: int) -> Iterator[str]:
    yield "| groups | images in each | lowest | mean | where lowest |"
    yield "|---|---|---|---|---|"
    for groups, size in itertools.product((10, 20, 50), (3, 10)):
        held = {
            (accuracy, rho): grouped_coverage(groups, size, accuracy, rho, samples)
            for accuracy in (0.6, 0.8, 0.9, 0.95, 0.98)
            for rho in (0, 0.1, 0.3, 0.6, 1)
        }
        accuracy, rho = min(held, key=lambda key: held[key])
        yield (
            f"| {groups} | {size} | {min(held.values()):.3f} | {np.mean(list(held.values())):.3f} "
            f"| accuracy {accuracy}, rho {rho} |"
        )


def report(samples: int, processes: int) -> Iterator[str]:
    with multiprocessing.Pool(processes) as pool:
        found = _told(pool, [(point, samples) for point in points()])
        grouped = _told(pool, [(point, samples) for point in grouped_points()])
    enough = [each for each in found if min(each.point.sizes) >= 10]
    yield (
        f"Share of samples whose 95 % interval holds the truth; {samples} samples a point, half as "
        f"many of 1,000 images. At 0.95, {samples} samples have a standard error of "
        f"{(0.95 * 0.05 / samples) ** 0.5:.3f}, so the lowest of many points lies below the truth."
    )
    yield "\n## Wilson's interval, exactly (accuracies 0.60, 0.61, ..., 0.98)\n"
    yield from wilson_table()
    yield "\n## All scores, over the points whose smallest class has ten images or more\n"
    yield from summary(enough)
    yield "\n## Images in groups: shares, beta-binomial\n"
    yield from group_table(5 * samples)
    yield "\n## Images in groups of five: all scores\n"
    yield from summary(grouped)
    yield "\n## Every point\n"
    yield "`*`: named under `unsure`, in one sample at least. The last column is the lowest of all"
    yield "classes' precision, recall and F1.\n"
    yield from main_table(found)


def _told(pool: Any, tasks: Sequence[tuple[Point, int]]) -> list[Coverage]:
    found = []
    for each in pool.imap(cover, tasks):
        found.append(each)
        low = {name: value for name, value in each.held.items() if value < 0.92}
        print(each.point, sorted(low.items(), key=lambda pair: pair[1])[:6], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    text = "\n".join([*report(options.samples, options.processes), ""])
    (RESULTS / "coverage.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
