"""What options for imbalanced classes and for regularisation are worth, one by one.

    python benchmarks/options.py DATASETS WEIGHTS [--sets NAME...] [--options NAME...]
        [--each N] [--rarest RATIO] [--seeds 1 2 3 4 5] [--epochs 10]

DATASETS is a folder of data sets in the forms that `finetune train` takes. For each set and seed,
training images are chosen: N a class (`--each`, all by default), or numbers that fall evenly, by
factors, from those of the first class to a RATIO-th of them in the last (`--rarest`). The same
images, views and test images serve all options. Each option is of one phase that trains the last
two stages on stored features, after a solved head; `solved` ones solve the head and no more.

Every option is compared with `plain` (`solved` ones with `solved`) on the same test images:
accuracy image by image with a bootstrap over images (`paired.py`), and balanced accuracy, in which
each image counts by its class, likewise. The table is written to `results/options.md`, what was
measured is kept in `results/options.json`, and what is there isn't run again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from paired import differences, interval

from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.data.reading import read_data
from finetune.experiments.directory import FoldDirectory
from finetune.experiments.trial import Trial, run_trial
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import Recipe

RESULTS = Path(__file__).parent / "results"
SOLVED = {"name": "head", "train": "head", "solver": "lbfgs"}
OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "class_weights sqrt": {"loss": {"class_weights": "sqrt"}},
    "class_weights balanced": {"loss": {"class_weights": "balanced"}},
    "logit_adjustment": {"loss": {"logit_adjustment": 1.0}},
    "sampling balanced": {"sampling": "balanced"},
    "after training": {"evaluate": {"logit_adjustment": 1.0}},
    "label_smoothing 0.1": {"label_smoothing": 0.1},
    "mixup 0.2": {"mixup": 0.2},
    "drop_path 0.1": {"model": {"drop_path": 0.1}},
    "dropout 0.2": {"model": {"dropout": 0.2}},
    "ema": {"ema": {}},
    "swa": {"swa": {}, "lr_schedule": {"name": "constant"}},
    "l2_sp 0.01": {"l2_sp": 0.01},
    "interpolate": {"interpolate": True},
    "co_tuning 2.3": {"co_tuning": 2.3},
    "solved": {"solver": "lbfgs"},
    "solved, sqrt": {"solver": "lbfgs", "loss": {"class_weights": "sqrt"}},
    "solved, balanced": {"solver": "lbfgs", "loss": {"class_weights": "balanced"}},
    "solved, after training": {"solver": "lbfgs", "evaluate": {"logit_adjustment": 1.0}},
}


@dataclass(frozen=True)
class Case:
    """Which images are learnt from."""

    data: str
    each: int | None
    rarest: int | None
    seed: int

    @property
    def title(self) -> str:
        number = "all" if self.each is None else str(self.each)
        return f"{self.data}, {number} a class" + (f", 1:{self.rarest}" if self.rarest else "")


@dataclass(frozen=True)
class Measured:
    """An option on a case: each test image's class, and whether it was right."""

    case: Case
    option: str
    epochs: int
    seconds: float
    labels: dict[str, str]
    correct: dict[str, bool]


def recipe_of(option: str, epochs: int, seed: int) -> Recipe:
    settings = dict(OPTIONS[option])
    sections = {name: settings.pop(name) for name in ("model", "evaluate") if name in settings}
    tune: dict[str, object] = {"name": "tune", "train": "last_2", "epochs": epochs, **settings}
    phases = [SOLVED | settings] if "solver" in settings else [SOLVED, tune]
    whole = {"name": "own", "seed": seed, "phases": phases, "keep": "last", **sections}
    return Recipe.model_validate(whole)


def table_of(datasets: Path, case: Case, place: Path) -> Path:
    """A table of the case's images: fewer in train, val and test as they are."""
    manifest = read_data(datasets / case.data, load_recipe("lp_ft").data, case.seed, Silent())
    items = [item for part in ("val", "test") for item in manifest.part(part)]
    generator = np.random.default_rng(case.seed)
    train = manifest.part("train")
    for rank, name in enumerate(manifest.classes):
        own = [item for item in train if item.label == name]
        most = min(len(own), case.each or len(own))
        fall = (case.rarest or 1) ** (-rank / max(1, len(manifest.classes) - 1))
        chosen = generator.permutation(len(own))[: max(2, round(most * fall))]
        items += [own[place] for place in sorted(chosen)]
    rows = [(str(manifest.file(i).resolve()), i.label, i.split, i.group) for i in items]
    pd.DataFrame(rows, columns=["path", "label", "split", "group"]).to_csv(place, index=False)
    return place


def measure(datasets: Path, weights: Path, case: Case, option: str, epochs: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        table = table_of(datasets, case, Path(folder) / "images.csv")
        recipe = recipe_of(option, epochs, case.seed)
        planned = api.plan(table, recipe, weights=weights, reporter=Silent())
        setting = setting_of(planned, None, Silent())
        learnt, test = (
            tuple(item for part in parts for item in planned.manifest.part(part))
            for parts in (("train", "val"), ("test",))
        )
        outcome = run_trial(
            setting, Trial("trial", learnt, test), FoldDirectory(Path(folder) / "trial")
        )
    root = (datasets / case.data).resolve()
    names = [planned.manifest.file(item).relative_to(root).as_posix() for item in test]
    right = (outcome.logits.argmax(1) == setting.labels(test)).tolist()
    return Measured(
        case,
        option,
        epochs,
        seconds=sum(phase["seconds"] for phase in outcome.phases["phases"]),
        labels=dict(zip(names, (item.label for item in test), strict=True)),
        correct=dict(zip(names, right, strict=True)),
    )


def read_results() -> list[Measured]:
    path = RESULTS / "options.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [Measured(**(row | {"case": Case(**row["case"])})) for row in rows]


def base_of(option: str) -> str:
    return "solved" if option.startswith("solved") else "plain"


def balanced(rows: Sequence[tuple[Measured, Measured]]) -> list[np.ndarray]:
    """Each image's differences, by what it counts for in the mean over classes."""
    return [
        np.array([weight * gain for weight, gain in images]) for images in _by_image(rows).values()
    ]


def _by_image(
    rows: Sequence[tuple[Measured, Measured]],
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one, other in rows:
        counts = pd.Series(one.labels).value_counts()
        for path, right in one.correct.items():
            weight = len(one.labels) / (len(counts) * counts[one.labels[path]])
            gain = float(right) - float(other.correct[path])
            found.setdefault((one.case.title, path), []).append((weight, gain))
    return found


def lines(rows: Sequence[Measured]) -> Iterator[str]:
    yield "Points of test accuracy and balanced accuracy gained over the same phase without the"
    yield "option, with the 95 % interval of the paired difference."
    yield from _summary(rows)
    for title in sorted({row.case.title for row in rows}):
        yield from ("", f"### {title}", "", "| option | accuracy | balanced accuracy | seeds | s |")
        yield "|---|---|---|---|---|"
        own = [row for row in rows if row.case.title == title]
        for option in OPTIONS:
            if pairs := pairs_of(option, own):
                yield _line(option, pairs)


def pairs_of(option: str, rows: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """What the option gave, each with what its base gave on the same case."""
    of = {(row.case, row.option, row.epochs): row for row in rows}
    return [
        (row, of[row.case, base_of(option), row.epochs])
        for row in rows
        if row.option == option and (row.case, base_of(option), row.epochs) in of
    ]


def _summary(rows: Sequence[Measured]) -> Iterator[str]:
    """What options add over all sets, by images a class; an image counts once in an interval."""
    even = [row for row in rows if row.case.each and not row.case.rarest]
    sizes = sorted({row.case.each or 0 for row in even})
    sets = ", ".join(sorted({row.case.data for row in even}))
    titles = [*(f"{size} a class" for size in sizes), "all of them"]
    yield from ("", f"### Over {sets}: accuracy", "", f"| option | {' | '.join(titles)} |")
    yield "|---" * (len(titles) + 1) + "|"
    groups = [*([row for row in even if row.case.each == size] for size in sizes), even]
    for option in OPTIONS:
        found = [pairs_of(option, group) for group in groups]
        if option != base_of(option) and all(found):
            yield f"| {option} | {' | '.join(_gain(pairs) for pairs in found)} |"


def _gain(pairs: Sequence[tuple[Measured, Measured]]) -> str:
    rows = differences((one.case.data, (one.correct, other.correct)) for one, other in pairs)
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(rows))


def _line(option: str, pairs: Sequence[tuple[Measured, Measured]]) -> str:
    seconds = np.mean([one.seconds for one, _ in pairs])
    if option == base_of(option):
        accuracy, mean = (np.mean([score(row) for row, _ in pairs]) for score in (_right, _mean))
        return f"| {option} | {accuracy:.3f} | {mean:.3f} | {len(pairs)} | {seconds:.0f} |"
    by_class = "{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(balanced(pairs)))
    return f"| {option} | {_gain(pairs)} | {by_class} | {len(pairs)} | {seconds:.0f} |"


def _right(row: Measured) -> float:
    return float(np.mean(list(row.correct.values())))


def _mean(row: Measured) -> float:
    frame = pd.DataFrame({"label": row.labels, "correct": row.correct})
    return float(frame.groupby("label")["correct"].mean().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--options", nargs="*", default=list(OPTIONS), choices=list(OPTIONS))
    parser.add_argument("--each", type=int)
    parser.add_argument("--rarest", type=int)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    rows = read_results()
    done = {(row.case, row.option, row.epochs) for row in rows}
    names = given.sets or sorted(p.name for p in given.datasets.iterdir() if p.is_dir())
    cases = [Case(n, given.each, given.rarest, s) for n in names for s in given.seeds]
    for case in cases:
        for option in given.options:
            if (case, option, given.epochs) in done:
                continue
            rows.append(measure(given.datasets, given.weights, case, option, given.epochs))
            text = json.dumps([asdict(row) for row in rows], indent=1)
            (RESULTS / "options.json").write_text(text + "\n", encoding="utf-8")
            row = rows[-1]
            shown = f"{_right(row):.3f}, balanced {_mean(row):.3f}"
            print(f"{case.title} {case.seed} {option}: {shown}", flush=True)
    text = "\n".join([*lines(rows), ""])
    (RESULTS / "options.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
