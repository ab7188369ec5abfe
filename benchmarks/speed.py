"""How fast the frozen part, the head, full fine-tuning and prediction are, beside the plain way.

    python benchmarks/speed.py DATA [--images 400] [--repeat 3]

DATA is a folder of class folders of photographs. Everything is timed in one process on the same
images and the same seeded ResNet-50 at 224 px; imports and start-up stay outside. What is *bare*
works on tensors in memory and does nothing else; the *plain* way is float32, from disk, with a
DataLoader of two workers and the frozen stages run live in every epoch. The bare loops have the
memory settings of ours; the plain way runs in a process of its own that has the system's. It is
timed on two epochs after a warm-up and multiplied. Peak memory is of two processes of their own.

The table is written to `results/speed.md`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
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
from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.training.course import run_course
from finetune.training.setting import Setting

RESULTS = Path(__file__).parent / "results"
BATCH = 16
EPOCHS = 20
CPU = torch.device("cpu")
SPEC = InputSpec()
TOP = Recipe.model_validate(
    {
        "name": "top",
        "augment": {"policy": "light", "views": 4},
        "phases": [{"name": "top", "train": "layer4", "epochs": 15, "batch_size": BATCH}],
    }
)


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
        less_is_better = self.unit in ("s", "MiB")
        return self.other / self.ours if less_is_better else self.ours / self.other


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

    def plan(self, recipe: str | Recipe = "linear_probe", *more: str) -> api.Plan:
        """All images to learn from, and the network."""
        return api.plan(
            self.data,
            recipe,
            overrides=["data.val=0", "data.test=0", *more],
            weights=self.weights,
            reporter=Silent(),
        )

    def setting(self, recipe: str | Recipe = "linear_probe", *more: str) -> Setting:
        """What a training works with; it writes to a folder of its own."""
        run = RunDirectory(Path(tempfile.mkdtemp(dir=self.folder)))
        return setting_of(self.plan(recipe, *more), run, Silent())

    def empty_store(self) -> None:
        os.environ["FINETUNE_CACHE"] = tempfile.mkdtemp(dir=self.folder)

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
    bench.empty_store()
    setting = bench.setting()
    items = setting.manifest.part("train")
    return len(items) / clocked(lambda: setting.pristine_features(items))


def probing(bench: Bench, views: int = 1) -> float:
    """Seconds for the head, from images on disk or in the store to the solution."""
    more = (f"phases.probe.views={views}", f"augment.policy={'none' if views == 1 else 'light'}")
    setting = bench.setting("linear_probe", *more)
    return clocked(lambda: run_course(setting))


def whole_probe(bench: Bench, name: str, seed: int) -> float:
    """Seconds of a training with test part, scores and report."""
    more = ("data.test=0.15", f"seed={seed}")
    return clocked(lambda: bench.train("linear_probe", name, *more))


def training_the_top(bench: Bench) -> tuple[float, float]:
    """Seconds of `TOP` in all, and of an epoch once the frozen outputs are stored."""
    bench.empty_store()
    setting = bench.setting(TOP)
    whole = clocked(lambda: run_course(setting))
    rows = setting.log.rows
    return whole, statistics.median(float(row["seconds"]) for row in rows[1:])


def plain_loop(bench: Bench, trained: tuple[str, ...], epochs: int = 2) -> float:
    """Images a second of training in float32 from disk; ``trained``: names of what learns."""
    model = timm.create_model("resnet50", num_classes=bench.classes).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=1e-3, momentum=0.9)
    loader = DataLoader(Photographs(bench, True), BATCH, shuffle=True, num_workers=2)

    def steps(count: int) -> None:
        for images, labels in islice(loader, count):
            optimizer.zero_grad()
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()

    steps(2)
    return epochs * len(bench.files) / clocked(lambda: [steps(len(loader)) for _ in range(epochs)])


def plain(bench: Bench, *trained: str) -> float:
    """`plain_loop` as people run it: in a process with the system's memory settings."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(plain_loop, bench, trained).result()


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
    yield from measure_head(bench)
    run = bench.train("linear_probe", "probe")
    yield Row(
        "prediction, from disk, against bare inference",
        bench.median(lambda: predicting(bench, run)),
        inference,
        "images/s",
        0.85,
    )
    yield from measure_top(bench)
    yield from measure_all(bench)


def measure_head(bench: Bench) -> Iterator[Row]:
    loop = EPOCHS * len(bench.files) / plain(bench, "fc.")
    for views, aim in ((1, 40), (8, 7)):
        bench.empty_store()
        first = probing(bench, views)
        name = "head, solved" if views == 1 else f"head, solved on {views} views"
        yield Row(f"{name}, against {EPOCHS} plain epochs", first, loop, "s", aim)
        if views == 1:
            again = probing(bench)
            yield Row(
                "head once more, from the store, against the first time", again, first, "s", 5
            )
    bench.empty_store()
    first, again, other = (
        whole_probe(bench, *each) for each in (("once", 1), ("again", 1), ("other", 2))
    )
    name = "a whole linear_probe, from reading the images to the report"
    yield Row(f"{name}, again against the first", again, first, "s", 5)
    yield Row("the same, with another seed", other, first, "s", 5)


def measure_top(bench: Bench) -> Iterator[Row]:
    loop = len(bench.files) / plain(bench, "layer4.", "fc.")
    whole, epoch = training_the_top(bench)
    epochs = TOP.phases[0].epochs
    yield Row("layer4 on stored outputs of layer3, an epoch, against plain", epoch, loop, "s", 6)
    yield Row(
        f"the same, storing 4 views and {epochs} epochs, against plain",
        whole,
        loop * epochs,
        "s",
        4,
    )


def measure_all(bench: Bench) -> Iterator[Row]:
    bare = bench.median(lambda: bare_training(bench))
    ours = full_training(bench, 0)
    yield Row("all layers, from disk, against a bare bfloat16 loop", ours, bare, "images/s", 0.9)
    yield Row(
        "all layers, from disk, against the plain float32 loop",
        ours,
        plain(bench, ""),
        "images/s",
        2,
    )
    peak, bare_peak = (
        in_a_process_of_its_own(work, bench) for work in (peak_of_ours, peak_of_bare)
    )
    allowed = 1.15 * bare_peak + 400
    yield Row("all layers, peak memory, against 1.15 of the bare loop and 400 MiB", peak, allowed,
              "MiB", 1)  # fmt: skip


def peak_of_ours(bench: Bench) -> None:
    full_training(bench, 1)


def peak_of_bare(bench: Bench) -> None:
    bare_training(bench)


def in_a_process_of_its_own(work: Callable[[Bench], object], bench: Bench) -> float:
    """The most anonymous memory that ``work`` holds, in MiB, beyond that of an idle process.

    Watched from outside, twenty times a second; the process is a new one, that imports by itself.
    """
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_worked, args=(work, bench))
    process.start()
    most = 0.0
    while process.is_alive():
        most = max(most, _anonymous(process.pid or 0))
        time.sleep(0.05)
    if process.exitcode != 0:
        raise RuntimeError(f"{work.__name__} failed")
    return most


def _worked(work: Callable[[Bench], object], bench: Bench) -> None:
    keep_freed_memory()
    work(bench)


def _anonymous(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
    return int(found[0]) / 1024 if found else 0.0


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
