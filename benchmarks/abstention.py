"""What abstaining keeps of its promises, on real photographs.

    python benchmarks/abstention.py DATASETS WEIGHTS [--splits 100]

DATASETS holds `clothing`, `dtd10` and `hymenoptera`; WEIGHTS is a weights file that names its
network. The network sees each picture once. All pictures of a set are then divided anew in each of
the splits: two quarters are learnt from (a solved head), one calibrates (no choice is made on
it but the temperature), one judges.

- Prediction sets: how often they hold the class, and how large they are.
- Precision thresholds: how much is answered, how precise the answers are, all together and class
  by class, and in what share of the splits an answered class's true precision can't be the one
  asked for (one-sided binomial test at 5 %).
- Strange pictures: the area under the ROC curve of the distance for one set's pictures against
  another's, and how many of each are refused.

The table is written to `results/abstention.md`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from finetune.console import Silent
from finetune.data.loading import Reading, eval_loader
from finetune.data.reading import read_data
from finetune.evaluation.abstention import Conformal, Precision
from finetune.evaluation.calibration import fit_temperature, softmax
from finetune.evaluation.conformal import loss_limit
from finetune.evaluation.novelty import (
    chosen,
    directions,
    distance_limit,
    distances,
    distances_among,
)
from finetune.evaluation.thresholds import precision_thresholds
from finetune.features.body import FLOAT32, body_of
from finetune.features.extraction import passed
from finetune.features.form import Form
from finetune.features.frozen import FrozenOutputs, about
from finetune.features.store import FeatureStore
from finetune.model.backbone import input_spec, load_backbone
from finetune.model.head import classifier
from finetune.model.stages import HEAD
from finetune.model.weights import choose_weights
from finetune.recipe.loading import load_recipe
from finetune.training.solver import solve_head

RESULTS = Path(__file__).parent / "results"
CPU = torch.device("cpu")
COVERAGES = (0.8, 0.9, 0.95)
PRECISIONS = (0.8, 0.9, 0.95)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Pictures:
    """A data set as the network sees it.

    Attributes:
        name: Of the folder.
        features: ``[N, D]``.
        labels: Class indices ``[N]``.
        classes: How many classes there are.
        groups: Names of what belongs together, ``[N]``; empty: a group of its own.
    """

    name: str
    features: np.ndarray
    labels: np.ndarray
    classes: int
    groups: list[str]


def look(folder: Path, weights: Path) -> Pictures:
    """All pictures of a set, through the feature store."""
    recipe = load_recipe("linear_probe")
    manifest = read_data(folder, recipe.data, 1, Silent())
    items = [item for item in manifest.items if item.status == "ok"]
    loaded = load_backbone(choose_weights(recipe.model, str(weights), None), 2, seed=1)
    spec = input_spec(loaded, recipe.input)
    described = about(loaded.model, HEAD, spec, CPU, FLOAT32)
    form = Form((classifier(loaded.model).in_features,), FLOAT32)
    outputs = FrozenOutputs(FeatureStore.usual(None).shelf(described), form)

    def compute(places: list[int]) -> Iterator[torch.Tensor]:
        files = [manifest.file(items[place]) for place in places]
        with Silent().task("", len(files), "images") as task:
            loader = eval_loader(files, Reading(spec, 10**9), 64)
            for rows, _ in passed(
                lambda: body_of(loaded.model, spec, CPU, FLOAT32), loader, CPU, task
            ):
                yield rows

    rows = outputs.always([item.digest for item in items], compute).float().numpy()
    groups = [item.group for item in items]
    return Pictures(folder.name, rows, manifest.labels(items), len(manifest.classes), groups)


@dataclass(frozen=True)
class Split:
    """Probabilities of calibrating and judging pictures, and their classes."""

    calibrating: np.ndarray
    calibrating_labels: np.ndarray
    judging: np.ndarray
    judging_labels: np.ndarray


def divide(pictures: Pictures, seed: int, l2: float) -> Split:
    order = np.random.default_rng(seed).permutation(len(pictures.labels))
    half, quarter = len(order) // 2, 3 * len(order) // 4
    learn, calibrate, judge = order[:half], order[half:quarter], order[quarter:]
    head = solve_head(
        pictures.features[learn], pictures.labels[learn], pictures.classes, l2=l2, folds=2, seed=1
    )
    logits = pictures.features @ head.weight.T + head.bias
    temperature = fit_temperature(logits[calibrate], pictures.labels[calibrate])
    values = softmax(logits, temperature)
    labels = pictures.labels
    return Split(values[calibrate], labels[calibrate], values[judge], labels[judge])


def strength(pictures: Pictures) -> float:
    """The regularisation for all splits, from half of the pictures of one further split."""
    order = np.random.default_rng(10**6).permutation(len(pictures.labels))
    learn = order[: len(order) // 2]
    head = solve_head(
        pictures.features[learn], pictures.labels[learn], pictures.classes, l2="auto", folds=5,
        seed=1,
    )  # fmt: skip
    return head.chosen


def sets_table(splits: dict[str, list[Split]]) -> Iterator[str]:
    yield (
        "| data | calibrated on | promised | held (mean) | held (5 % to 95 %) "
        "| classes in a set | one class | none |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for (name, found), coverage in ((pair, c) for pair in splits.items() for c in COVERAGES):
        rows = np.array([_sets(split, coverage) for split in found])
        low, high = np.quantile(rows[:, 0], [0.05, 0.95])
        held, size, single, empty = rows.mean(0)
        yield (
            f"| {name} | {len(found[0].calibrating)} | {coverage} | {held:.3f} "
            f"| {low:.3f} to {high:.3f} | {size:.2f} | {single:.3f} | {empty:.3f} |"
        )


def _sets(split: Split, coverage: float) -> tuple[float, float, float, float]:
    losses = -np.log(split.calibrating[np.arange(len(split.calibrating)), split.calibrating_labels])
    limit = loss_limit(losses, coverage)
    assert limit is not None
    sets = Conformal(coverage, limit, len(losses)).sets(split.judging)
    sizes = sets.sum(1)
    held = sets[np.arange(len(sets)), split.judging_labels]
    return held.mean(), sizes.mean(), (sizes == 1).mean(), (sizes == 0).mean()


def precision_table(splits: dict[str, list[Split]]) -> Iterator[str]:
    yield (
        "| data | asked for | classes answered | images answered | precision of the answers "
        "| refuted |"
    )
    yield "|---|---|---|---|---|---|"
    for (name, found), target in ((pair, t) for pair in splits.items() for t in PRECISIONS):
        rows = [_precision(split, target) for split in found]
        classes, answered, right, refuted, judged = np.array(rows).sum(0)
        images = sum(len(split.judging) for split in found)
        total = len(found) * found[0].judging.shape[1]
        precision = f"{right / answered:.3f}" if answered else "–"
        yield (
            f"| {name} | {target} | {classes / total:.2f} | {answered / images:.3f} | {precision} "
            f"| {refuted:.0f} of {judged:.0f} |"
        )


def _precision(split: Split, target: float) -> tuple[int, int, int, int, int]:
    """Classes with a threshold, images answered and right; classes refuted, of those judged."""
    limits = precision_thresholds(split.calibrating, split.calibrating_labels, target, CONFIDENCE)
    told = Precision(target, tuple(limits), len(split.calibrating)).reasons(split.judging)
    answered = np.array([not reason for reason in told])
    answers = split.judging.argmax(1)
    right = answered & (answers == split.judging_labels)
    refuted = judged = 0
    for c in range(split.judging.shape[1]):
        count, hits = int((answered & (answers == c)).sum()), int((right & (answers == c)).sum())
        judged += count > 0
        refuted += count > 0 and binom.cdf(hits, count, target) < 0.05
    known = sum(limit is not None for limit in limits)
    return known, int(answered.sum()), int(right.sum()), refuted, judged


def strange_table(every: dict[str, Pictures]) -> Iterator[str]:
    yield "| learnt from | pictures of | area under the ROC curve | refused | of its own, refused |"
    yield "|---|---|---|---|---|"
    for name in ("clothing", "dtd10"):
        home = every[name]
        order = np.random.default_rng(1).permutation(len(home.labels))
        learn, judge = order[: 3 * len(order) // 4], order[3 * len(order) // 4 :]
        kept = directions(home.features[learn[chosen(len(learn), 1)]])
        limit = distance_limit(distances_among(kept), 0.99)
        own = distances(home.features[judge], kept)
        for other in (each for each in every.values() if each is not home):
            far = distances(other.features, kept)
            strange = np.repeat([0, 1], [len(own), len(far)])
            area = roc_auc_score(strange, np.concatenate([own, far]))
            yield (
                f"| {name} | {other.name} | {area:.4f} | {(far > limit).mean():.3f} "
                f"| {(own > limit).mean():.3f} |"
            )


def report(every: dict[str, Pictures], count: int) -> Iterator[str]:
    splits = {}
    for name in ("clothing", "dtd10"):
        l2 = strength(every[name])
        splits[name] = [divide(every[name], seed, l2) for seed in range(count)]
    yield f"{count} random splits of each set: half to learn from, a quarter each to fit and judge."
    yield "\n## Prediction sets\n"
    yield from sets_table(splits)
    yield "\n## Precision thresholds, each shown at 95 %\n"
    yield from precision_table(splits)
    yield "\n## Pictures of other sets (99 in 100 ordinary ones shall pass)\n"
    yield from strange_table(every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--splits", type=int, default=100)
    options = parser.parse_args()
    started = time.perf_counter()
    names = ("clothing", "dtd10", "hymenoptera")
    every = {name: look(options.datasets / name, options.weights) for name in names}
    print(f"features: {time.perf_counter() - started:.0f} s", flush=True)
    text = "\n".join([f"<!-- {options.weights.name} -->", *report(every, options.splits), ""])
    (RESULTS / "abstention.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
