"""Accuracy and wall time of the recipes beside two plain ways, on the same images and weights.

    python benchmarks/accuracy.py DATASETS WEIGHTS [--sets NAME...] [--ways NAME...]
        [--seed 1] [--again]

DATASETS is a folder of data sets in the forms that `finetune train` takes; WEIGHTS is a weights
file that names its network. For each data set every way learns from the same training and
validation images and is scored once on the same test images:

- each recipe, by `finetune.train`;
- `logistic_regression`: scikit-learn's LogisticRegressionCV on the same network's features;
- `tutorial`: the PyTorch transfer-learning tutorial's loop: all layers, SGD 1e-3 with momentum 0.9,
  batches of 4, a tenth of the rate after 7 of 10 epochs, the best epoch on the validation images.

What was measured is kept in `results/accuracy-SEED.json`; ways that are there are not run again
unless `--again` is given.
The table is written to `results/accuracy.md`, over all seeds that were measured.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from paired import Pair, differences, interval
from sklearn.linear_model import LogisticRegressionCV
from torch import nn

import finetune
from finetune.console import Console, Silent
from finetune.data.input_spec import InputSpec
from finetune.data.loading import Reading, eval_loader
from finetune.data.manifest import Item, Manifest
from finetune.data.reading import read_data
from finetune.environment import describe_machine
from finetune.evaluation.intervals import wilson
from finetune.evaluation.prediction import predict_logits
from finetune.features.extraction import features
from finetune.model.backbone import input_spec, load_backbone
from finetune.model.weights import choose_weights
from finetune.recipe.loading import load_recipe

RESULTS = Path(__file__).parent / "results"
RECIPES = ["linear_probe", "lp_ft", "full_finetune", "gradual_unfreeze"]
PLAIN = ["logistic_regression", "tutorial"]
DEFAULT, BASE, PROBE = "lp_ft", "logistic_regression", "linear_probe"
BASES = {
    BASE: "logistic regression",
    PROBE: f"`{PROBE}`",
    "full_finetune": "`full_finetune`",
    "gradual_unfreeze": "`gradual_unfreeze`",
    "tutorial": "the tutorial's loop",
}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Measured:
    """A way on a data set: which test images it got right, and what it took."""

    data: str
    way: str
    seed: int
    seconds: float
    kept: str
    correct: dict[str, bool]

    @property
    def accuracy(self) -> float:
        return float(np.mean(list(self.correct.values())))


@dataclass(frozen=True)
class Bench:
    """A data set with the network that all ways start from."""

    name: str
    manifest: Manifest
    weights: Path
    seed: int

    def items(self, *parts: str) -> list[Item]:
        return [item for part in parts for item in self.manifest.part(part)]

    def network(self) -> tuple[nn.Module, InputSpec]:
        recipe = load_recipe("linear_probe")
        choice = choose_weights(recipe.model, str(self.weights), None)
        loaded = load_backbone(choice, len(self.manifest.classes), seed=self.seed)
        return loaded.model, input_spec(loaded, recipe.input)

    def compute(self, forward: Callable[..., np.ndarray], model: nn.Module, spec: InputSpec,
                items: list[Item]) -> np.ndarray:  # fmt: skip
        files = [self.manifest.file(item) for item in items]
        with Silent().task("", len(files), "images") as task:
            loader = eval_loader(files, Reading(spec, 10**9, workers=1), 64)
            return forward(model, loader, spec, CPU, task)

    def result(self, way: str, seconds: float, kept: str, predicted: np.ndarray) -> Measured:
        test = self.items("test")
        right = predicted == self.manifest.labels(test)
        correct = {item.path: bool(r) for item, r in zip(test, right, strict=True)}
        return Measured(self.name, way, self.seed, seconds, kept, correct)


def run_recipe(bench: Bench, recipe: str) -> Measured:
    out = Path(tempfile.mkdtemp()) / "run"
    os.environ["FINETUNE_CACHE"] = str(out.parent / "cache")  # nothing of earlier runs is used
    started = time.perf_counter()
    run = finetune.train(
        bench.manifest.root,
        recipe,
        overrides=[f"seed={bench.seed}"],
        weights=bench.weights,
        out=out,
        reporter=Console(),
    )
    seconds = time.perf_counter() - started
    import pandas as pd

    table = pd.read_csv(run.directory.predictions).query("split == 'test'").set_index("path")
    test = bench.items("test")
    names = [table.loc[item.path, "predicted"] for item in test]
    predicted = np.array([bench.manifest.classes.index(str(name)) for name in names])
    kept = run.phases["kept"]
    shutil.rmtree(out.parent)
    return bench.result(recipe, seconds, kept, predicted)


def run_logistic_regression(bench: Bench) -> Measured:
    started = time.perf_counter()
    model, spec = bench.network()
    learn, test = bench.items("train", "val"), bench.items("test")
    inputs = bench.compute(features, model, spec, learn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # limits of iterations, and names that sklearn renames
        regression = LogisticRegressionCV(
            Cs=np.logspace(-4, 2, 13), cv=5, scoring="neg_log_loss", max_iter=2000
        ).fit(inputs, bench.manifest.labels(learn))
    predicted = regression.predict(bench.compute(features, model, spec, test))
    return bench.result(BASE, time.perf_counter() - started, "", predicted)


def run_tutorial(bench: Bench) -> Measured:
    started = time.perf_counter()
    model, spec = bench.network()
    with torch.random.fork_rng():
        torch.manual_seed(bench.seed)
        best = _tutorial_loop(bench, model, spec)
    model.load_state_dict(best)
    predicted = bench.compute(predict_logits, model, spec, bench.items("test")).argmax(1)
    return bench.result("tutorial", time.perf_counter() - started, "", predicted)


def _tutorial_loop(bench: Bench, model: nn.Module, spec: InputSpec) -> dict[str, torch.Tensor]:
    from torch.utils.data import DataLoader
    from torchvision import transforms

    varied = transforms.Compose([
        transforms.RandomResizedCrop(spec.size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(spec.mean, spec.std),
    ])  # fmt: skip
    learn, validation = bench.items("train"), bench.items("val")
    loader = DataLoader(
        TutorialImages(bench.manifest, learn, varied), batch_size=4, shuffle=True, num_workers=2
    )
    model.get_classifier().reset_parameters()  # the tutorial's new nn.Linear
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    best_accuracy, best = -1.0, copy.deepcopy(model.state_dict())
    for _ in range(10):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        schedule.step()
        predicted = bench.compute(predict_logits, model, spec, validation).argmax(1)
        accuracy = float((predicted == bench.manifest.labels(validation)).mean())
        if accuracy > best_accuracy:
            best_accuracy, best = accuracy, copy.deepcopy(model.state_dict())
    return best


class TutorialImages(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Images as torchvision's ImageFolder gives them."""

    def __init__(self, manifest: Manifest, items: list[Item], transform: Callable) -> None:  # type: ignore[type-arg]
        self.files = [manifest.file(item) for item in items]
        self.labels = manifest.labels(items)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        with Image.open(self.files[index]) as image:
            return self.transform(image.convert("RGB")), int(self.labels[index])


def measure(bench: Bench, way: str) -> Measured:
    if way == BASE:
        return run_logistic_regression(bench)
    return run_tutorial(bench) if way == "tutorial" else run_recipe(bench, way)


def read_results() -> list[Measured]:
    return [
        Measured(**row)
        for path in sorted(RESULTS.glob("accuracy-*.json"))
        for row in json.loads(path.read_text(encoding="utf-8"))["measured"]
    ]


def keep(row: Measured) -> None:
    path = RESULTS / f"accuracy-{row.seed}.json"
    rows = [old for old in read_results() if old.seed == row.seed]
    rows = [old for old in rows if (old.data, old.way) != (row.data, row.way)] + [row]
    machine = describe_machine()
    machine.pop("command")
    machine["system"] = f"{platform.system()} {platform.machine()}"
    content = {"machine": machine, "measured": [asdict(each) for each in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def table(rows: list[Measured]) -> Iterator[str]:
    sets = sorted({row.data for row in rows})
    ways = [way for way in (*RECIPES, *PLAIN) if any(row.way == way for row in rows)]
    seeds = sorted({row.seed for row in rows})
    sizes = {row.data: len(row.correct) for row in rows}
    yield (
        f"Mean test accuracy over seeds {seeds} with its 95 % interval, and the first seed's wall "
        "time in seconds."
    )
    yield ""
    yield "| way | " + " | ".join(f"{name} (n={sizes[name]})" for name in sets) + " |"
    yield "|---|" + "---|" * len(sets)
    for way in ways:
        cells = [_cell([r for r in rows if (r.data, r.way) == (name, way)]) for name in sets]
        yield f"| {_title(way)} | " + " | ".join(cells) + " |"
    yield from ("", f"Points over `{PROBE}`, with the 95 % interval of the paired difference.", "")
    yield "| way | " + " | ".join(sets) + " |"
    yield "|---|" + "---|" * len(sets)
    for way in ways:
        if way != PROBE:
            cells = [_over_probe([row for row in rows if row.data == name], way) for name in sets]
            yield f"| {_title(way)} | " + " | ".join(cells) + " |"
    for base, title in BASES.items():
        yield ""
        yield _pooled(rows, base, title)


def _title(way: str) -> str:
    names = {BASE: "scikit-learn's logistic regression", "tutorial": "the PyTorch tutorial's loop"}
    return names.get(way, f"`{way}`" + (" (default)" if way == DEFAULT else ""))


def _cell(rows: list[Measured]) -> str:
    if not rows:
        return "–"
    right = [value for row in rows for value in row.correct.values()]
    n = len(rows[0].correct)
    score = wilson(round(float(np.mean(right)) * n), n, 0.95)
    # Other seeds were run when other work, or one core only, would be measured with them.
    seconds = min(rows, key=lambda row: row.seed).seconds
    kept = sorted({row.kept for row in rows if row.kept})
    note = f", kept {'/'.join(kept)}" if kept and rows[0].way == DEFAULT else ""
    note += f", {len(rows)} seeds" if len(rows) > 1 else ""
    low, high = score.low or 0.0, score.high or 0.0
    return f"{np.mean(right):.3f} [{low:.3f}, {high:.3f}], {seconds:.0f} s{note}"


def _pairs(rows: list[Measured], way: str, base: str) -> list[tuple[str, Pair]]:
    """What a way and another got right, where both were measured with a seed on a set."""
    of = {(row.data, row.way, row.seed): row.correct for row in rows}
    return [
        (row.data, (row.correct, of[row.data, base, row.seed]))
        for row in rows
        if row.way == way and (row.data, base, row.seed) in of
    ]


def _over_probe(rows: list[Measured], way: str) -> str:
    pairs = _pairs(rows, way, PROBE)
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(differences(pairs))) if pairs else "–"


def _pooled(rows: list[Measured], base: str, title: str) -> str:
    """Default minus another way, image by image, over all sets and seeds."""
    pairs = _pairs(rows, DEFAULT, base)
    if not pairs:
        return ""
    images = differences(pairs)
    mean, low, high = interval(images)
    return (
        f"Default minus {title}, pooled over {len(images)} test images: "
        f"{mean:+.2f} points, 95 % interval of the paired difference [{low:+.2f}, {high:+.2f}]."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--ways", nargs="*", default=[*PLAIN, *RECIPES])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    names = options.sets or sorted(p.name for p in options.datasets.iterdir() if p.is_dir())
    rows = [] if options.again else read_results()
    done = {(row.data, row.way, row.seed) for row in rows}
    data_options = load_recipe(DEFAULT).data
    for name in names:
        manifest = read_data(options.datasets / name, data_options, options.seed, Silent())
        bench = Bench(name, manifest, options.weights, options.seed)
        for way in options.ways:
            if (name, way, options.seed) in done:
                continue
            row = measure(bench, way)
            keep(row)
            print(f"{name} {way}: {row.accuracy:.4f} in {row.seconds:.0f} s {row.kept}", flush=True)
    heading = f"{platform.machine()}, {describe_machine()['cores']} cores, {options.weights.name}"
    text = "\n".join([f"<!-- {heading} -->", *table(read_results()), ""])
    (RESULTS / "accuracy.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
