"""How long the search for near-duplicates takes, and what memory, over many made-up pictures.

    python benchmarks/duplicates_scale.py [--sizes 25000 50000 100000]

The pictures are random fields with the spectrum of photographs (power falls with the square of the
frequency). A tenth of them are identical blanks; three tenths are made in series, each picture half
of its series' ground; 5 % are copies of others, of five kinds. Each size is searched in a process
of its own. Writes `results/duplicates.md`.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from finetune.console import Silent
from finetune.data.copies.duplicates import clusters, duplicate_pairs
from finetune.data.copies.fingerprints import FINGERPRINT_BYTES, fingerprint
from finetune.environment import describe_machine

RESULTS = Path(__file__).parent / "results"
SIDE = 96
SERIES = 300
Floats = npt.NDArray[np.float32]


def recoded(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=60)
    return Image.open(file).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 60": recoded,
    "three quarters of the size": lambda image: image.resize((SIDE * 3 // 4,) * 2),
    "brighter by a fifth": lambda image: image.point(lambda value: min(255, value * 1.2)),
    "mirrored": ImageOps.mirror,
    "cropped by 5 %": lambda image: image.crop((2, 2, SIDE - 3, SIDE - 3)),
}


def fields(count: int, generator: np.random.Generator) -> Floats:
    """Random fields ``[count, SIDE, SIDE]`` of unit variance whose amplitude falls as 1 / f."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    frequency[0, 0] = np.inf
    white = generator.standard_normal((count, SIDE, SIDE), np.float32)
    made = np.fft.irfft2(np.fft.rfft2(white) / frequency, (SIDE, SIDE))
    return (made / made.std(axis=(1, 2), keepdims=True)).astype(np.float32)


def pictures(count: int, series: bool, generator: np.random.Generator, grounds: Floats) -> Floats:
    """Pictures ``[count, SIDE, SIDE, 3]``, 0 to 255."""
    grey = fields(count, generator)
    if series:
        grey = (grey + grounds[generator.integers(SERIES, size=count)]) / np.sqrt(2)
    hue = generator.normal(0, 12, (count, 1, 1, 3)).astype(np.float32)
    return (128 + 45 * grey[..., None] + hue).clip(0, 255)


def write(path: Path, count: int, seed: int) -> dict[int, tuple[int, str]]:
    """Fingerprints of so many pictures to a file; of the copies, whose and of which kind."""
    generator = np.random.default_rng(seed)
    grounds = fields(SERIES, generator)
    planted = {}
    blank = fingerprint(Image.new("RGB", (SIDE, SIDE), "white"))
    made = [blank] * (count // 10)
    while len(made) < count:
        series = generator.random() < 1 / 3
        for pixels in pictures(min(200, count - len(made)), series, generator, grounds):
            image = Image.fromarray(pixels.astype(np.uint8))
            made.append(fingerprint(image))
            if len(made) % 20 == 0 and len(made) < count:
                kind = list(COPIES)[len(planted) % len(COPIES)]
                planted[len(made)] = (len(made) - 1, kind)
                made.append(fingerprint(COPIES[kind](image)))
    path.write_bytes(b"".join(made[:count]))
    return planted


def peak() -> float:
    """Megabytes that this process has held at most; Linux only."""
    # Not getrusage's: that is inherited from the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def search(path: Path) -> None:
    """Search a file of fingerprints; tell time, memory and pairs as JSON."""
    values = path.read_bytes()
    width = FINGERPRINT_BYTES
    fingerprints = [values[at : at + width] for at in range(0, len(values), width)]
    del values
    before, started, worked = peak(), time.perf_counter(), time.process_time()
    digests = [str(number) for number in range(len(fingerprints))]
    pairs = duplicate_pairs(digests, fingerprints, Silent())
    found = clusters(pairs, len(digests))
    told = {
        "seconds": time.perf_counter() - started,
        "processor": time.process_time() - worked,
        "before": before,
        "peak": peak(),
        "pairs": [(pair.first, pair.second) for pair in pairs],
        "largest": sorted((len(members) for members in found), reverse=True)[:2],
    }
    json.dump(told, sys.stdout)


def measure(count: int, seed: int) -> tuple[str, dict[str, float]]:
    """A row of the table for so many pictures; the share of copies found, by kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fingerprints")
        planted = write(path, count, seed)
        command = [sys.executable, __file__, "--search", str(path)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    pairs = {(first, second) for first, second in told["pairs"]}
    kinds = Counter(kind for _, kind in planted.values())
    found = Counter(kind for copy, (source, kind) in planted.items() if (source, copy) in pairs)
    strange = len(pairs) - sum(found.values()) - (count // 10 - 1)
    row = (
        f"| {count:,} | {told['seconds']:.0f} s | {told['processor']:.0f} s | "
        f"{1e6 * told['processor'] / (count * np.log2(count)):.1f} µs | {told['before']:,.0f} MB | "
        f"{told['peak']:,.0f} MB | {len(pairs):,} | {strange} | {told['largest'][0]:,}, "
        f"{told['largest'][1]} |"
    )
    return row, {kind: found[kind] / kinds[kind] for kind in COPIES}


def page(rows: list[str], recalls: dict[int, dict[str, float]], seed: int) -> str:
    machine = describe_machine()
    lines = [
        f"<!-- {machine['processor']}, {machine['cores']} cores, shared; seed {seed} -->",
        "The search for near-duplicates among made-up pictures, a tenth of them identical blanks. "
        "Memory: with the fingerprints read, and at most.",
        "",
        "| pictures | time | processor time | of it per n log₂ n | memory before | at most | "
        "pairs | pairs that nobody planted | largest two clusters |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "| copies found among | " + " | ".join(COPIES) + " |",
        "|---|" + "---|" * len(COPIES),
    ]
    for count, recall in recalls.items():
        lines.append(f"| {count:,} | " + " | ".join(f"{r:.3f}" for r in recall.values()) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[25_000, 50_000, 100_000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        search(options.search)
        return
    rows, recalls = [], {}
    for count in options.sizes:
        row, recalls[count] = measure(count, options.seed)
        rows.append(row)
        print(row, recalls[count], flush=True)
    (RESULTS / "duplicates.md").write_text(page(rows, recalls, options.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
