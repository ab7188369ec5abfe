"""`--recipe auto` beside fixed recipes, with few images of each class and with all.

    python benchmarks/auto.py DATASETS WEIGHTS [--sets NAME...] [--sizes 5 10 20 0]
        [--repeats 3] [--ways linear_probe auto]

DATASETS is a folder of data sets in the forms that `finetune train` takes; WEIGHTS is a weights
file that names its network. Of each data set's images, the test part judges all trainings; of the
others, nested parts of so many images of each class (0: all) are learnt from. Each training makes
its own choices, among its own images: `auto` looks at, and probes, those alone.

What was measured is kept in `results/auto.json`, and is not measured again. The table is written
to `results/auto.md`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from paired import differences, interval

from finetune.api.choosing import Grounds, choose
from finetune.api.planning import Plan, plan_recipe, setting_of
from finetune.choosing.measuring import look_at_data
from finetune.choosing.rules import input_choices
from finetune.console import Silent
from finetune.data.manifest import Item, Manifest
from finetune.experiments.directory import FoldDirectory
from finetune.experiments.subsets import nested_subset
from finetune.experiments.trial import Trial, run_trial, trial_of
from finetune.recipe.undecided import AUTO

RESULTS = Path(__file__).parent / "results"
BASE, SEED, ALL = "linear_probe", 1, 0


@dataclass(frozen=True)
class Measured:
    """One training: which test images it got right, and what it took.

    Attributes:
        size: Images of each class, at most; 0: all.
        phases: What the phases trained, and which was kept.
    """

    data: str
    way: str
    size: int
    repeat: int
    images: int
    seconds: float
    phases: str
    correct: dict[str, bool]

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self.data, self.way, self.size, self.repeat


def pool_of(planned: Plan) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """The images to learn from, as one part, and those that judge."""
    manifest = planned.manifest
    learnt = sorted((*manifest.part("train"), *manifest.part("val")), key=lambda item: item.path)
    return tuple(replace(item, split="train") for item in learnt), manifest.part("test")


def trials(planned: Plan, sizes: list[int], repeats: int) -> Iterator[tuple[int, int, Trial]]:
    pool, judged = pool_of(planned)
    for size in sizes:
        for repeat in range(repeats if size != ALL else 1):
            items = nested_subset(pool, size or len(pool), SEED, repeat)
            trial = trial_of("trial", items, judged, planned.recipe.data, SEED + repeat)
            yield size, repeat, trial


def planned_for(way: str, planned: Plan, trial: Trial, name: str) -> Plan:
    """What ``way`` does with the trial's images; ``auto`` chooses by those that it learns from."""
    items = (*trial.learnt, *trial.judged)
    own = replace(
        planned, manifest=Manifest(planned.manifest.root, planned.manifest.classes, items)
    )
    if way != AUTO:
        return own
    looked = look_at_data(own.manifest, planned.recipe.data.max_pixels, Silent())
    grounds = Grounds(name, own, looked, tuple(input_choices(looked)))
    return choose(grounds, [], Silent())


def measure(way: str, planned: Plan, trial: Trial, name: str) -> tuple[dict[str, bool], str, float]:
    started = time.perf_counter()
    own = planned_for(way, planned, trial, name)
    setting = setting_of(own, None, Silent())
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_trial(setting, trial, FoldDirectory(Path(folder) / "trial"))
    right = outcome.logits.argmax(1) == setting.labels(trial.judged)
    correct = {item.path: bool(r) for item, r in zip(trial.judged, right, strict=True)}
    depth = "+".join(phase.train for phase in own.recipe.phases)
    kept = outcome.phases["kept"]
    return correct, f"{depth}, kept {kept}", time.perf_counter() - started


def read_results() -> list[Measured]:
    path = RESULTS / "auto.json"
    return [Measured(**row) for row in json.loads(path.read_text())] if path.exists() else []


def write_results(rows: list[Measured]) -> None:
    told = ",\n".join(json.dumps(asdict(row)) for row in rows)
    (RESULTS / "auto.json").write_text(f"[\n{told}\n]\n", encoding="utf-8")
    (RESULTS / "auto.md").write_text("\n".join([*table(rows), ""]), encoding="utf-8")


def table(rows: list[Measured]) -> Iterator[str]:
    ways = sorted({row.way for row in rows}, key=lambda way: (way == AUTO, way))
    yield "# Recipe auto beside fixed recipes"
    yield ""
    yield (
        "Made by `benchmarks/auto.py`: mean test accuracy over the draws that all ways of a "
        "line were measured on; for `auto`, what its phases trained. A dash: not measured."
    )
    yield ""
    yield f"| set | images a class | draws | {' | '.join(ways)} | auto's phases |"
    yield "|---|---|---|" + "---|" * (len(ways) + 1)
    for data, size in sorted({(row.data, row.size or 10**9) for row in rows}):
        yield _row([r for r in rows if (r.data, r.size or 10**9) == (data, size)], ways)
    yield ""
    for way in ways:
        if way != AUTO:
            yield _difference(rows, way)
            yield ""


def _row(rows: list[Measured], ways: list[str]) -> str:
    """A line of the table, over the draws that all of its ways were measured on."""
    draws = {way: {row.repeat for row in rows if row.way == way} for way in ways}
    shared = set.intersection(*(own for own in draws.values() if own))
    kept = [row for row in rows if row.repeat in shared]
    cells = [_mean([row for row in kept if row.way == way]) for way in ways]
    phases = sorted({row.phases for row in kept if row.way == AUTO})
    told = " | ".join([*cells, "; ".join(phases) or "–"])
    return f"| {rows[0].data} | {rows[0].size or 'all'} | {len(shared)} | {told} |"


def _mean(rows: list[Measured]) -> str:
    scores = [np.mean(list(row.correct.values())) for row in rows]
    return f"{np.mean(scores):.3f}" if scores else "–"


def _difference(rows: list[Measured], way: str) -> str:
    """``auto`` minus ``way``, image by image, over what both were measured on."""
    of = {row.key: row.correct for row in rows}
    pairs = [
        (row.data, (row.correct, of[row.data, way, row.size, row.repeat]))
        for row in rows
        if row.way == AUTO and (row.data, way, row.size, row.repeat) in of
    ]
    if not pairs:
        return f"`auto` and `{way}` were not measured on the same images."
    mean, low, high = interval(differences(pairs))
    return (
        f"`auto` minus `{way}` over {len(pairs)} trainings: {mean:+.2f} points, 95 % interval of "
        f"the paired difference [{low:+.2f}, {high:+.2f}]."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--sizes", nargs="*", type=int, default=[5, 10, 20, ALL])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="*", default=[BASE, AUTO])
    options = parser.parse_args()
    names = options.sets or sorted(p.name for p in options.datasets.iterdir() if p.is_dir())
    rows = read_results()
    done = {row.key for row in rows}
    for name in names:
        for way in options.ways:
            recipe = BASE if way == AUTO else way
            folder = options.datasets / name
            planned = plan_recipe(folder, recipe, [], options.weights, Silent())
            for size, repeat, trial in trials(planned, options.sizes, options.repeats):
                if (name, way, size, repeat) in done:
                    continue
                correct, phases, seconds = measure(way, planned, trial, name)
                images = len(trial.learnt)
                rows.append(Measured(name, way, size, repeat, images, seconds, phases, correct))
                write_results(rows)
                right = np.mean(list(correct.values()))
                print(name, way, size, repeat, f"{right:.3f} {seconds:.0f} s {phases}", flush=True)


if __name__ == "__main__":
    main()
