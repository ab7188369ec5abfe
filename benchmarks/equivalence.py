"""Whether training on stored views learns what training on live, ever new views does.

    python benchmarks/equivalence.py DATASETS WEIGHTS [--sets NAME...] [--seeds 5]

A recipe whose second phase trains the last two stages is run in two ways, with the same seeds and
so the same parts: as it is (frozen stages run once, on numbered views, in the fastest number
format), and with everything computed live in float32, with new views in every epoch. The table has
the difference of the test accuracies, image by image, with a 95 % interval from a bootstrap over
test images (an image that several seeds score is drawn once, with all its differences).

What was measured is kept in `results/equivalence.json`; what is there is not run again. The table
is written to `results/equivalence.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from paired import Pair, differences, interval

import finetune
from finetune.console import Silent
from finetune.recipe.schema import Recipe

RESULTS = Path(__file__).parent / "results"
SETS = ["hymenoptera", "clothing", "dtd10"]
EPOCHS = 8
BOUND = 1.5
RECIPE = Recipe.model_validate(
    {
        "name": "top",
        "keep": "last",
        "phases": [
            {"name": "probe", "train": "head", "solver": "lbfgs"},
            {"name": "tune", "train": "last_2", "epochs": EPOCHS},
        ],
    }
)
WAYS = {
    "stored": [],
    "live": ["store.use=false", f"augment.views={EPOCHS}", "precision=float32"],
}


@dataclass(frozen=True)
class Measured:
    data: str
    way: str
    seed: int
    seconds: float
    correct: dict[str, bool]


def measure(data: Path, weights: Path, way: str, seed: int) -> Measured:
    folder = Path(tempfile.mkdtemp())
    os.environ["FINETUNE_CACHE"] = str(folder / "cache")
    started = time.perf_counter()
    run = finetune.train(
        data,
        RECIPE,
        overrides=[f"seed={seed}", *WAYS[way]],
        weights=weights,
        out=folder / "run",
        reporter=Silent(),
    )
    table = pd.read_csv(run.directory.predictions).query("split == 'test' and error.isna()")
    right = table.predicted.astype(str) == table.label.astype(str)
    correct = {path: bool(r) for path, r in zip(table.path, right, strict=True)}
    return Measured(data.name, way, seed, time.perf_counter() - started, correct)


def pairs(measured: list[Measured], data: str | None) -> Iterator[tuple[str, Pair]]:
    """Stored and live of the same data and seed."""
    by_key = {(m.data, m.way, m.seed): m for m in measured}
    for (name, way, seed), stored in by_key.items():
        live = by_key.get((name, "live", seed))
        if way == "stored" and live is not None and data in (None, name):
            yield name, (stored.correct, live.correct)


def shown(measured: list[Measured]) -> str:
    lines = [
        f"<!-- {EPOCHS} epochs of the last two stages after a solved head; bound: {BOUND} -->",
        "| data | seeds | stored | live | stored minus live, points | seconds, stored | live |",
        "|---|---|---|---|---|---|---|",
    ]
    for data in [*dict.fromkeys(m.data for m in measured), None]:
        own = {
            way: [m for m in measured if m.way == way and data in (None, m.data)] for way in WAYS
        }
        means = [np.mean([np.mean(list(m.correct.values())) for m in own[way]]) for way in WAYS]
        seconds = [np.mean([m.seconds for m in own[way]]) for way in WAYS]
        mean, low, high = interval(differences(pairs(measured, data)))
        lines.append(
            f"| {data or 'all'} | {len({m.seed for m in own['live']})} | {means[0]:.3f} | "
            f"{means[1]:.3f} | {mean:+.2f} [{low:+.2f}, {high:+.2f}] | {seconds[0]:.0f} | "
            f"{seconds[1]:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    kept = RESULTS / "equivalence.json"
    measured = [Measured(**m) for m in json.loads(kept.read_text())] if kept.exists() else []
    done = {(m.data, m.way, m.seed) for m in measured}
    for seed in range(1, options.seeds + 1):
        for name in options.sets:
            for way in WAYS:
                if (name, way, seed) in done:
                    continue
                measured.append(measure(options.datasets / name, options.weights, way, seed))
                print(name, way, seed, f"{measured[-1].seconds:.0f} s", flush=True)
                RESULTS.mkdir(exist_ok=True)
                kept.write_text(json.dumps([asdict(m) for m in measured]), encoding="utf-8")
    text = shown(measured)
    (RESULTS / "equivalence.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
