"""How long it takes to index and divide a million images, and how much memory; no pixel is read.

python benchmarks/data.py --out benchmarks/results/data.md

The files are made up: of five bytes, in class folders, in a temporary folder (``--folder`` names
another place for it) that goes at the end. A tenth of the images are in groups of 2 to 20. The
steps are done one after another by one process of its own, whose peak of memory is the one that
is told.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from finetune.console import Silent
from finetune.data.manifest import Item, Manifest, read_manifest
from finetune.data.parts.dividing import divide
from finetune.data.parts.gathering import Ties
from finetune.data.sources.indexing import list_folder
from finetune.environment import describe_machine
from finetune.files import text_digest
from finetune.recipe.schema import DataOptions

CLASSES = 1000
GROUPED = 0.1
ADDED = 0.1
LIMIT_SECONDS, LIMIT_GIB = 60, 2.0


@dataclass(frozen=True)
class Step:
    """What was timed; ``counted``: it belongs to indexing and dividing.

    On a machine that does other work at the same time, the time on the processor says more.
    """

    name: str
    seconds: float
    processor: float
    peak: float
    counted: bool


def write_files(folder: Path, images: int) -> None:
    for label in range(CLASSES):
        place = folder / f"class{label:04}"
        place.mkdir(parents=True)
        for number in range(label, images, CLASSES):
            (place / f"image{number:07}.jpg").write_bytes(b"\xff\xd8\xff\xd9\n")


def clusters(items: list[Item], generator: np.random.Generator) -> list[list[int]]:
    """Groups of 2 to 20 that hold a tenth of the images, most of them of one class."""
    sizes = generator.integers(2, 21, int(GROUPED * len(items) / 11))
    starts = generator.choice(len(items) // 20, len(sizes), replace=False) * 20
    return [
        list(range(start, start + size)) for start, size in zip(starts.tolist(), sizes, strict=True)
    ]


def options(**values: Any) -> DataOptions:
    return DataOptions.model_validate(values)


@dataclass
class Watch:
    """Times each step and sends it off; steps that are ``counted`` are indexing and dividing."""

    to: Connection

    def timed(self, name: str, work: Callable[[], Any], *, counted: bool = False) -> Any:
        begun, used = time.perf_counter(), time.process_time()
        result = work()
        seconds, processor = time.perf_counter() - begun, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        self.to.send(Step(name, seconds, processor, peak, counted))
        return result


def first_time(photos: Path, file: Path, watch: Watch) -> tuple[list[Item], Ties, Manifest]:
    listing = watch.timed("list the folder", lambda: list_folder(photos), counted=True)
    # As after every file was looked at.
    items = [replace(item, digest=text_digest(item.path)) for item in listing.items]
    ties = Ties(clusters(items, np.random.default_rng(1)))

    def divided() -> Manifest:
        return Manifest.of(photos, divide(items, options(), 1, Silent(), root=photos, known=ties))

    manifest: Manifest = watch.timed("join groups and divide", divided, counted=True)
    watch.timed("write data.csv", lambda: manifest.write_csv(file), counted=True)
    again = watch.timed("read data.csv", lambda: read_manifest(file, photos), counted=True)
    assert again == manifest
    return items, ties, manifest


def work(photos: Path, place: Path, to: Connection) -> None:
    watch, file = Watch(to), place / "data.csv"
    items, ties, manifest = first_time(photos, file, watch)
    keep = [item for number, item in enumerate(manifest.items) if number % round(1 / ADDED)]
    Manifest.of(photos, keep).write_csv(file)
    del manifest, keep
    watch.timed(
        "divide again where a tenth is new (`data.splits`)",
        lambda: divide(items, options(splits=str(file)), 1, Silent(), root=photos, known=ties),
    )
    pattern = {"pattern": r"(image\d{6})"}
    watch.timed(
        "groups of ten by `data.group.pattern`, and divide",
        lambda: divide(items, options(group=pattern), 1, Silent(), root=photos, known=ties),
    )
    to.close()


def measured(folder: Path, images: int) -> list[Step]:
    photos = folder / "photos"
    begun = time.perf_counter()
    write_files(photos, images)
    print(f"{images:,} files made in {time.perf_counter() - begun:.0f} s", flush=True)
    here, there = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")  # so that its memory is its own
    process = context.Process(target=work, args=(photos, folder, there))
    process.start()
    there.close()
    done: list[Step] = []
    try:
        while True:
            done.append(here.recv())
            print(f"{done[-1].name}: {done[-1].seconds:.1f} s", flush=True)
    except EOFError:
        process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)
    return done


def page(done: list[Step], images: int) -> str:
    machine = describe_machine()
    counted = [step for step in done if step.counted]
    total, peak = sum(step.seconds for step in counted), max(step.peak for step in done)
    processor, load = sum(step.processor for step in counted), os.getloadavg()[0]
    lines = [
        f"<!-- {machine['processor']}, {machine['cores']} cores, Python {machine['python']} -->",
        f"Indexing and dividing {images:,} images in {CLASSES:,} classes, a tenth of them in "
        "groups of 2 to 20; one process, no pixel read.",
        "",
        "| step | seconds | of them on the processor | peak memory so far |",
        "|---|---|---|---|",
        *(f"| {s.name} | {s.seconds:.1f} | {s.processor:.1f} | {s.peak:.2f} GiB |" for s in done),
        "",
        f"The first {len(counted)} together take {total:.1f} s ({LIMIT_SECONDS} s are the limit), "
        f"{processor:.1f} s of them on the processor, of which {load:.0f} processes wanted a part; "
        f"the peak of all is {peak:.2f} GiB ({LIMIT_GIB:g} GiB).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the made-up files are put")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="finetune-data-", dir=given.folder))
    try:
        text = page(measured(folder, given.images), given.images)
    finally:
        shutil.rmtree(folder)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
