"""What mirror images, and pictures of other sizes, are worth.

    python benchmarks/resolution.py DATASETS WEIGHTS [--sets NAME...] [--seeds 1 2 3 4 5]
        [--epochs 10] [--skip-growing]

DATASETS is a folder of data sets in the forms that `finetune train` takes. Two tables are written
to `results/resolution.md`:

- Heads solved on features of the training images and scored on the test images, both as they are,
  with the mean over mirror images (`input.mirror`), or larger: each for training and test alike,
  and for the test alone.
- All layers trained for some epochs, at full size, or the first seven tenths of them on pictures of
  160 pixels (`size` of a phase).

Differences are paired, image by image, with a bootstrap over images (`paired.py`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from paired import Pair, differences, interval

import finetune
from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.recipe.schema import Recipe
from finetune.training.setting import Setting
from finetune.training.solver import solve_head

RESULTS = Path(__file__).parent / "results"
PLAIN, MIRROR, LARGER = "as they are", "with mirror images", "of 256 pixels"
HEADS = [
    (PLAIN, PLAIN),
    (MIRROR, MIRROR),
    (PLAIN, MIRROR),
    (LARGER, LARGER),
    (PLAIN, LARGER),
]
SMALL = 160

Right = dict[str, bool]


@dataclass(frozen=True)
class Scored:
    """What was right of a test part, and the seconds of training."""

    data: str
    right: Right
    seconds: float = 0.0


def changed(setting: Setting, what: str) -> Setting:
    other = {MIRROR: {"mirror": True}, LARGER: {"size": 256}}.get(what, {})
    return replace(setting, spec=replace(setting.spec, **other), _features={})


def heads(data: Path, weights: Path, seed: int) -> Iterator[tuple[tuple[str, str], Right]]:
    planned = api.plan(
        data, "linear_probe", overrides=[f"seed={seed}"], weights=weights, reporter=Silent()
    )
    setting = setting_of(planned, None, Silent())
    train, test = (setting.manifest.part(name) for name in ("train", "test"))
    labels = setting.labels(train)
    for learnt, scored in HEADS:
        head = solve_head(
            changed(setting, learnt).pristine_features(train),
            labels,
            len(setting.manifest.classes),
            l2="auto",
            folds=5,
            seed=seed,
            groups=[item.group for item in train],
        )
        seen = changed(setting, scored).pristine_features(test)
        answers = (seen @ head.weight.T + head.bias).argmax(1)
        right = (answers == setting.labels(test)).tolist()
        yield (learnt, scored), dict(zip((item.path for item in test), right, strict=True))


def recipe_of(epochs: int, seed: int, *, growing: bool) -> Recipe:
    usual = {"train": "all", "optimizer": {"lr": 3e-4}, "lr_schedule": {"warmup": 0.1}}
    small = round(0.7 * epochs)
    phases = [
        {**usual, "name": "small", "epochs": small, "size": SMALL},
        {**usual, "name": "large", "epochs": epochs - small},
    ]
    plain = [{**usual, "name": "tune", "epochs": epochs}]
    chosen = phases if growing else plain
    return Recipe.model_validate({"name": "own", "seed": seed, "keep": "last", "phases": chosen})


def tuned(data: Path, weights: Path, epochs: int, seed: int, *, growing: bool) -> Scored:
    with tempfile.TemporaryDirectory() as folder:
        run = finetune.train(
            data,
            recipe_of(epochs, seed, growing=growing),
            weights=weights,
            out=Path(folder) / "run",
            reporter=Silent(),
        )
        frame = pd.read_csv(run.directory.predictions, keep_default_na=False)
        table = frame.query("split == 'test'").set_index("path")
        seconds = sum(phase["seconds"] for phase in run.phases["phases"])
    right = {str(path): bool(each) for path, each in (table.label == table.predicted).items()}
    return Scored(data.name, right, seconds)


def shown(pairs: list[tuple[str, Pair]]) -> str:
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(differences(pairs)))


def heads_table(found: dict[tuple[str, str], list[Scored]]) -> Iterator[str]:
    names = sorted({row.data for row in found[HEADS[0]]})
    yield f"| learnt from pictures | scored on pictures | {' | '.join(names)} | all, points |"
    yield "|---" * (len(names) + 3) + "|"
    for way in HEADS:
        pairs = [
            (a.data, (a.right, b.right)) for a, b in zip(found[way], found[HEADS[0]], strict=True)
        ]
        cells = [
            f"{np.mean([np.mean(list(r.right.values())) for r in found[way] if r.data == n]):.3f}"
            for n in names
        ]
        gain = "" if way == HEADS[0] else shown(pairs)
        yield f"| {' | '.join([*way, *cells, gain])} |"


def growing_table(found: dict[bool, list[Scored]]) -> Iterator[str]:
    yield f"| data | seeds | full size | {SMALL} pixels first | points | seconds | {SMALL} first |"
    yield "|---" * 7 + "|"
    names = sorted({row.data for row in found[False]})
    for chosen in [*([name] for name in names), names]:
        plain, growing = ([r for r in found[kind] if r.data in chosen] for kind in (False, True))
        pairs = [(a.data, (a.right, b.right)) for a, b in zip(growing, plain, strict=True)]
        scores = [np.mean([np.mean(list(r.right.values())) for r in k]) for k in (plain, growing)]
        times = [np.mean([row.seconds for row in kind]) for kind in (plain, growing)]
        title = chosen[0] if len(chosen) == 1 else "all"
        yield (
            f"| {title} | {len(plain) // len(chosen)} | {scores[0]:.3f} | {scores[1]:.3f} "
            f"| {shown(pairs)} | {times[0]:.0f} | {times[1]:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--skip-growing", action="store_true")
    given = parser.parse_args()
    names = given.sets or sorted(p.name for p in given.datasets.iterdir() if p.is_dir())
    solved: dict[tuple[str, str], list[Scored]] = defaultdict(list)
    trained: dict[bool, list[Scored]] = defaultdict(list)
    for name in names:
        for seed in given.seeds:
            for way, right in heads(given.datasets / name, given.weights, seed):
                solved[way].append(Scored(name, right))
            for growing in () if given.skip_growing else (False, True):
                trained[growing].append(
                    tuned(given.datasets / name, given.weights, given.epochs, seed, growing=growing)
                )
            print(name, seed, flush=True)
    lines = [f"<!-- {given.weights.name}, seeds {given.seeds} -->", *heads_table(solved), ""]
    if trained:
        lines += [f"All layers, {given.epochs} epochs:", "", *growing_table(trained), ""]
    (RESULTS / "resolution.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
