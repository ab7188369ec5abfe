"""How fast the frozen part, the head, full fine-tuning and prediction are, beside the plain way.

    python benchmarks/speed.py DATA [--images 400] [--repeat 3]

DATA is a folder of class folders of photographs. Everything is timed in one process on the same
images and the same seeded ResNet-50 at 224 px; imports and start-up stay outside. What is *bare*
works on tensors in memory and does nothing else; the *plain* way is float32, from disk, with a
DataLoader of two workers and the frozen network run live in every epoch. Both have the memory
settings of ours. The plain way's epochs are timed on some batches after a warm-up and multiplied.

The table is written to `results/speed.md`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import finetune
from finetune import api
from finetune.api.planning import setting_of
from finetune.console import Silent
from finetune.data.input_spec import InputSpec
from finetune.environment import describe_machine
from finetune.features.body import BFLOAT16, body_of
from finetune.memory import keep_freed_memory
from finetune.training.phases import solve

RESULTS = Path(__file__).parent / "results"
BATCH = 16
EPOCHS = 20
CPU = torch.device("cpu")
SPEC = InputSpec()


@dataclass(frozen=True)
class Row:
    """A line of the table: ours against the other's, and what was aimed at."""

    figure: str
    ours: float
    other: float
    unit: str
    aim: float

    @property
    def ratio(self) -> float:
        """How many times better ours is."""
        return self.other / self.ours if self.unit == "s" else self.ours / self.other


@dataclass(frozen=True)
class Bench:
    data: Path
    weights: Path
    folder: Path
    repeat: int
    files: tuple[Path, ...]
    labels: tuple[int, ...]
    classes: int

    def median(self, work: Callable[[], float]) -> float:
        return statistics.median(work() for _ in range(self.repeat))

    def train(self, recipe: str, name: str, *more: str) -> finetune.Run:
        return finetune.train(
            self.data,
            recipe,
            overrides=["data.test=0", *more],
            weights=self.weights,
            out=self.folder / name,
            reporter=Silent(),
        )

    def plan(self) -> api.Plan:
        """All images to learn from, and the network."""
        return api.plan(
            self.data,
            "linear_probe",
            overrides=["data.val=0", "data.test=0"],
            weights=self.weights,
            reporter=Silent(),
        )

    def network(self) -> nn.Module:
        return self.plan().loaded.model.to(memory_format=torch.channels_last)


class Photographs(Dataset):  # type: ignore[type-arg]
    """Images from disk, the plain way."""

    def __init__(self, bench: Bench, training: bool) -> None:
        from torchvision import transforms

        crop = (
            [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
            if training
            else [transforms.Resize(256), transforms.CenterCrop(224)]
        )
        norm = transforms.Normalize(SPEC.mean, SPEC.std)
        self.transform = transforms.Compose([*crop, transforms.ToTensor(), norm])
        self.bench = bench

    def __len__(self) -> int:
        return len(self.bench.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        with Image.open(self.bench.files[index]) as image:
            return self.transform(image.convert("RGB")), self.bench.labels[index]


def clocked(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bare_inference(bench: Bench) -> float:
    """Images a second of folded bfloat16 inference on tensors in memory."""
    network = body_of(bench.network(), SPEC, CPU, BFLOAT16).network
    images = torch.randn(BATCH, 3, 224, 224).to(torch.bfloat16)
    images = images.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        network(images)
        return 10 * BATCH / clocked(lambda: [network(images) for _ in range(10)])


def storing(bench: Bench) -> float:
    """Images a second from files on disk to features in the store."""
    os.environ["FINETUNE_CACHE"] = tempfile.mkdtemp(dir=bench.folder)
    planned = bench.plan()
    setting = setting_of(planned, None, Silent())
    items = [item for item in planned.manifest.items if item.status == "ok"]
    return len(items) / clocked(lambda: setting.pristine_features(items))


def probing(bench: Bench) -> tuple[float, float]:
    """Seconds for the head, from images on disk to the solution; and once more, from the store."""
    os.environ["FINETUNE_CACHE"] = tempfile.mkdtemp(dir=bench.folder)

    def once() -> float:
        planned = bench.plan()
        setting = setting_of(planned, None, Silent())
        items = planned.manifest.part("train")
        phase = planned.recipe.phases[0]
        return clocked(
            lambda: solve(setting, phase, setting.pristine_features(items), items, "auto")
        )

    return once(), once()


def plain_loop(bench: Bench, *, frozen: bool, batches: int) -> float:
    """Images a second of training in float32 from disk; ``frozen``: the head alone."""
    model = timm.create_model("resnet50", num_classes=bench.classes).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not frozen or name.startswith("fc."))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-3, momentum=0.9)
    loader = DataLoader(Photographs(bench, True), BATCH, shuffle=True, num_workers=2)

    def steps(count: int) -> Iterator[None]:
        for images, labels in islice(loader, count):
            optimizer.zero_grad()
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            yield

    running = steps(batches + 2)
    next(running), next(running)
    return batches * BATCH / clocked(lambda: list(running))


def bare_training(bench: Bench) -> float:
    """Images a second of a bfloat16 channels-last loop on tensors in memory."""
    model = bench.network().train()
    model.requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
    images = torch.randn(BATCH, 3, 224, 224).to(memory_format=torch.channels_last)
    labels = torch.randint(0, bench.classes, (BATCH,))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()

    step()
    return 6 * BATCH / clocked(lambda: [step() for _ in range(6)])


def full_training(bench: Bench, number: int) -> float:
    """Images a second of the second epoch of ``full_finetune``, as the run logged it."""
    more = ["data.val=0", "phases.tune.epochs=2", f"phases.tune.batch_size={BATCH}"]
    more += ["phases.tune.early_stopping=null", "phases.tune.batch_norm=train"]
    run = bench.train("full_finetune", f"full-{number}", *more)
    return len(bench.files) / float(run.log["seconds"].iloc[-1])


def predicting(bench: Bench, run: finetune.Run) -> float:
    """Images a second of prediction from files on disk."""
    files = [str(path) for path in bench.files]
    _ = run.classifier
    return len(files) / clocked(lambda: run.predict(files, reporter=Silent()))


def measure(bench: Bench) -> Iterator[Row]:
    inference = bench.median(lambda: bare_inference(bench))
    yield Row(
        "storing features, from disk, against bare inference",
        bench.median(lambda: storing(bench)),
        inference,
        "images/s",
        0.85,
    )
    first, second = probing(bench)
    rate = plain_loop(bench, frozen=True, batches=8)
    plain = EPOCHS * len(bench.files) / rate
    yield Row(f"head, solved, against {EPOCHS} plain epochs", first, plain, "s", 40)
    yield Row("head once more, from the store, against the first time", second, first, "s", 5)
    run = bench.train("linear_probe", "probe")
    yield Row(
        "prediction, from disk, against bare inference",
        bench.median(lambda: predicting(bench, run)),
        inference,
        "images/s",
        0.85,
    )
    bare = bench.median(lambda: bare_training(bench))
    ours = full_training(bench, 0)
    yield Row("all layers, from disk, against a bare bfloat16 loop", ours, bare, "images/s", 0.9)
    yield Row(
        "all layers, from disk, against the plain float32 loop",
        ours,
        plain_loop(bench, frozen=False, batches=6),
        "images/s",
        2,
    )


def prepare(data: Path, images: int, repeat: int) -> Bench:
    folder = Path(tempfile.mkdtemp())
    names = sorted(path for path in data.iterdir() if path.is_dir())
    files = [sorted(path for path in name.rglob("*") if path.is_file()) for name in names]
    chosen = [
        (files[c][n], c)
        for n in range(max(map(len, files)))
        for c in range(len(files))
        if n < len(files[c])
    ][:images]
    table = folder / "images.csv"
    lines = [f"{path.absolute()},{names[c].name}" for path, c in chosen]
    table.write_text("\n".join(["path,label", *lines]) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    weights = folder / "resnet50.safetensors"
    save_file(timm.create_model("resnet50", num_classes=1000).state_dict(), weights)
    paths, labels = tuple(path for path, _ in chosen), tuple(c for _, c in chosen)
    return Bench(table, weights, folder, repeat, paths, labels, len(names))


def shown(rows: list[Row]) -> str:
    machine = describe_machine()
    lines = [
        f"<!-- {machine['processor']}, {machine['cores']} cores; ResNet-50, 224 px, "
        f"batches of {BATCH} -->",
        "| figure | ours | the other | times | aim |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ours, other = (f"{value:.1f} {row.unit}" for value in (row.ours, row.other))
        lines.append(f"| {row.figure} | {ours} | {other} | {row.ratio:.2f} | {row.aim:g} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()
    rows = []
    for row in measure(prepare(options.data, options.images, options.repeat)):
        print(f"{row.figure}: {row.ours:.1f} against {row.other:.1f} {row.unit}", flush=True)
        rows.append(row)
    RESULTS.mkdir(exist_ok=True)
    text = shown(rows)
    (RESULTS / "speed.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
