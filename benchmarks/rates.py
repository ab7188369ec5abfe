"""A rate that raced beside the recipe's own: accuracy, and what the race costs.

    python benchmarks/rates.py DATASETS WEIGHTS [--sets NAME...] [--seeds 1 2 3 4 5]
        [--set KEY=VALUE...]

DATASETS is a folder of data sets in the forms that `finetune train` takes; WEIGHTS is a weights
file that names its network. The recipe is `lp_ft` with the last two stages for 10 epochs, keeping
the last phase, so that what is compared are the rates. What was measured is kept in
`results/rates.json`, and is not measured again. The table is written to `results/rates.md`.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paired import differences, interval

import finetune
from finetune.console import Console

RESULTS = Path(__file__).parent / "results"
RECIPE = ["phases.tune.train=last_2", "phases.tune.epochs=10", "phases.tune.early_stopping=null"]
WAYS = {"own": "3.0e-4", "raced": "{race: [3.0e-5, 1.0e-4, 3.0e-4, 1.0e-3]}"}


@dataclass(frozen=True)
class Measured:
    """One training.

    Attributes:
        rate: What the phase was trained at.
        images: Passed in the phase; `raced`: in its race.
        seconds: Of the phase's epochs; `race_seconds`: of the race's.
        correct: Which test images it got right.
    """

    data: str
    way: str
    seed: int
    rate: float
    images: int
    raced: int
    seconds: float
    race_seconds: float
    correct: dict[str, bool]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.data, self.way, self.seed


def measure(data: Path, way: str, seed: int, weights: Path, more: list[str]) -> Measured:
    asked = [*RECIPE, "keep=last", f"seed={seed}", f"phases.tune.optimizer.lr={WAYS[way]}", *more]
    with tempfile.TemporaryDirectory() as folder:
        run = finetune.train(
            data, overrides=asked, weights=weights, out=Path(folder) / "run", reporter=Console()
        )
        record = run.phases["phases"][-1]
        with (run.path / "predictions.csv").open(newline="", encoding="utf-8") as file:
            test = [row for row in csv.DictReader(file) if row["split"] == "test"]
        learnt = (run.path / "data.csv").read_text(encoding="utf-8").count(",train,")
    race: dict[str, Any] = record.get("race", {"laps": [], "seconds": 0.0})
    return Measured(
        data=data.name,
        way=way,
        seed=seed,
        rate=record["stages"][-1]["lr"],
        images=learnt * record["epochs"],
        raced=sum(lap["images"] for lap in race["laps"]),
        seconds=record["seconds"],
        race_seconds=race["seconds"],
        correct={row["path"]: row["predicted"] == row["label"] for row in test},
    )


def table(rows: list[Measured]) -> Iterator[str]:
    yield "| data | way | rates | accuracy | images in the race, of the phase's | seconds |"
    yield "|---|---|---|---|---|---|"
    for data, way in sorted({(row.data, row.way) for row in rows}):
        own = [row for row in rows if (row.data, row.way) == (data, way)]
        right = [value for row in own for value in row.correct.values()]
        share = sum(row.raced for row in own) / sum(row.images for row in own)
        time = sum(row.race_seconds for row in own) / sum(row.seconds for row in own)
        rates = ", ".join(f"{row.rate:g}" for row in own)
        accuracy = 100 * sum(right) / len(right)
        yield f"| {data} | {way} | {rates} | {accuracy:.2f} | {share:.2f} | {time:.2f} |"
    found = {row.key: row.correct for row in rows}
    pairs = [
        (data, (correct, found[data, "own", seed]))
        for (data, way, seed), correct in found.items()
        if way == "raced" and (data, "own", seed) in found
    ]
    if pairs:
        mean, low, high = interval(differences(pairs))
        yield f"\nraced less own: {mean:+.2f} points of accuracy ({low:+.2f} to {high:+.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--sets", nargs="+", default=["hymenoptera", "dtd10"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--set", dest="more", action="append", default=[])
    asked = parser.parse_args()
    path = RESULTS / "rates.json"
    rows = [Measured(**row) for row in json.loads(path.read_text())] if path.exists() else []
    for data in asked.sets:
        for seed in asked.seeds:
            for way in WAYS:
                if (data, way, seed) in {row.key for row in rows}:
                    continue
                rows.append(measure(asked.datasets / data, way, seed, asked.weights, asked.more))
                told = ",\n".join(json.dumps(asdict(row)) for row in rows)
                path.write_text(f"[\n{told}\n]\n", encoding="utf-8")
    text = "\n".join([*table(rows), ""])
    (RESULTS / "rates.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
