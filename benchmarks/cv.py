"""How long a cross-validation of a solved head takes, beside one training, both from nothing.

    python benchmarks/cv.py DATA WEIGHTS [--folds 5] [--repeats 2] [--times 3]

Each is a command in a process of its own with an empty feature store; they take turns, so that a
busy machine is as busy for both. The medians and what the processor worked are written to
`results/cv.md`.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from finetune.environment import describe_machine

RESULTS = Path(__file__).parent / "results"
AIM = 1.5


@dataclass(frozen=True)
class Timing:
    wall: float
    processor: float


def timed(*arguments: str) -> Timing:
    """The command in a fresh process, with a store and a place of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "finetune", *arguments, "--out", f"{folder}/out"]
        environment = os.environ | {"FINETUNE_CACHE": f"{folder}/cache"}
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timing(wall, spent)


def medians(timings: list[Timing]) -> Timing:
    return Timing(
        statistics.median(each.wall for each in timings),
        statistics.median(each.processor for each in timings),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("weights")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    both = [options.data, "--recipe", "linear_probe", "--weights", options.weights]
    cut = ["--folds", str(options.folds), "--repeats", str(options.repeats)]
    one, many = [], []
    for _ in range(options.times):
        one.append(timed("train", *both))
        many.append(timed("cv", *both, *cut))
        print(f"train {one[-1]}, cv {many[-1]}")
    text = table(medians(one), medians(many), options.folds * options.repeats, options.times)
    (RESULTS / "cv.md").write_text(text, encoding="utf-8")
    print(text)


def table(one: Timing, many: Timing, trainings: int, times: int) -> str:
    machine = describe_machine()
    load = os.getloadavg()[0]
    lines = [
        f"<!-- {machine['processor']}, {machine['cores']} cores, load {load:.0f}; "
        f"medians of {times} -->",
        "| linear_probe, from an empty store | one training | "
        f"{trainings} trainings | times | aim |",
        "|---|---|---|---|---|",
        f"| wall time | {one.wall:.0f} s | {many.wall:.0f} s | "
        f"{many.wall / one.wall:.2f} | {AIM} |",
        f"| of the processor | {one.processor:.0f} s | {many.processor:.0f} s | "
        f"{many.processor / one.processor:.2f} | |",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
