"""Whether planted copies of real pictures are found, and what else is taken for copies.

    python benchmarks/leaks.py DATASETS [--copies 150] [--sheets FOLDER]

For each set in DATASETS and each kind of copy, copies of so many pictures are put beside all
pictures of the set. A copy is found where it is in one cluster with its source. The pictures of the
set by themselves, and scikit-learn's digits in two sizes, tell who is accused without a plant.
Writes `results/leaks.md`, and with `--sheets` a picture of the accused pairs of each set.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from finetune.console import Silent
from finetune.data.copies.duplicates import Pair, clusters, duplicate_pairs
from finetune.data.copies.fingerprints import fingerprint
from finetune.data.files.decoding import SUFFIXES
from finetune.data.public.digits import write_digits

RESULTS = Path(__file__).parent / "results"
SETS = ["hymenoptera", "clothing", "dtd10", "riceleaf3"]
QUALITY = 90
Change = Callable[[Image.Image, random.Random], Image.Image]


def resized(share: float) -> Change:
    def change(image: Image.Image, _: random.Random) -> Image.Image:
        size = [max(1, round(side * share)) for side in image.size]
        return image.resize((size[0], size[1]), Image.Resampling.LANCZOS)

    return change


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (
            round(width * left),
            round(height * top),
            round(width * (1 - right)),
            round(height * (1 - bottom)),
        )
    )


def cut_at_one_side(image: Image.Image, chance: random.Random) -> Image.Image:
    shares = [0.05, 0.0, 0.0, 0.0]
    chance.shuffle(shares)
    return cut(image, *shares)


def lettered(image: Image.Image, chance: random.Random) -> Image.Image:
    """With half-transparent white letters over about a tenth of the picture."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    width, height = image.size
    font = ImageFont.load_default(size=max(8, height * 0.16))
    place = (width / 2, height * chance.uniform(0.2, 0.8))
    ImageDraw.Draw(layer).text(place, "sample photo", (255, 255, 255, 140), font, anchor="mm")
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def as_it_is(image: Image.Image, _: random.Random) -> Image.Image:
    return image


KINDS: dict[str, tuple[Change, int]] = {
    "half the size": (resized(0.5), QUALITY),
    "three quarters": (resized(0.75), QUALITY),
    "JPEG 30": (as_it_is, 30),
    "JPEG 60": (as_it_is, 60),
    "JPEG 90": (as_it_is, 90),
    "cropped by 5 %": (lambda image, _: cut(image, 0.025, 0.025, 0.025, 0.025), QUALITY),
    "5 % off one side": (cut_at_one_side, QUALITY),
    "brightness x 1.2": (lambda image, _: image.point(lambda v: min(255, v * 1.2)), QUALITY),
    "brightness + 25": (lambda image, _: image.point(lambda v: min(255, v + 25)), QUALITY),
    "mirrored": (lambda image, _: ImageOps.mirror(image), QUALITY),
    "watermarked": (lettered, QUALITY),
}


@dataclass(frozen=True)
class Measured:
    """A set: how many pictures, the share of copies found by kind, and who is accused."""

    name: str
    pictures: int
    recalls: dict[str, float]
    accused: list[Pair]
    by_copies: int
    largest: int
    files: list[Path]


def look(file: Path | io.BytesIO) -> bytes:
    """The fingerprint of a picture as `finetune` decodes it: of JPEG, 64 pixels or more."""
    with Image.open(file) as image:
        image.draft("RGB", (64, 64))
        return fingerprint(ImageOps.exif_transpose(image).convert("RGB"))


def copy_of(file: Path, kind: str, chance: random.Random) -> bytes:
    change, quality = KINDS[kind]
    with Image.open(file) as image:
        changed = change(ImageOps.exif_transpose(image).convert("RGB"), chance)
    written = io.BytesIO()
    changed.save(written, "JPEG", quality=quality)
    return look(written)


def found(fingerprints: list[bytes]) -> tuple[list[Pair], list[list[int]]]:
    digests = [str(number) for number in range(len(fingerprints))]
    pairs = duplicate_pairs(digests, fingerprints, Silent())
    return pairs, clusters(pairs, len(digests))


def measure(folder: Path, copies: int, seed: int) -> Measured:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    own = [look(file) for file in files]
    chance = random.Random(seed)
    chosen = sorted(chance.sample(range(len(files)), min(copies, len(files))))
    accused, together = found(own)
    honest = {(pair.first, pair.second) for pair in accused}
    recalls, by_copies = {}, 0
    for kind in KINDS:
        pairs, clustered = found(own + [copy_of(files[place], kind, chance) for place in chosen])
        of = {place: number for number, cluster in enumerate(clustered) for place in cluster}
        sources = {len(files) + number: place for number, place in enumerate(chosen)}
        right = [of.get(copy, -1) == of.get(source, -2) for copy, source in sources.items()]
        recalls[kind] = sum(right) / len(right)
        for pair in pairs:
            meant = sorted(sources.get(place, place) for place in (pair.first, pair.second))
            by_copies += meant[0] != meant[1] and (meant[0], meant[1]) not in honest
    largest = max((len(members) for members in together), default=1)
    return Measured(folder.name, len(files), recalls, accused, by_copies, largest, files)


def digits(folder: Path, size: int) -> Measured:
    """The digits as they are written (32), or blown up: nobody is planted."""
    files = sorted(folder.rglob("*.png"))
    own = []
    for file in files:
        with Image.open(file) as image:
            small = image.convert("RGB").resize((8, 8), Image.Resampling.BOX)
            grown = image.convert("RGB") if size == 32 else small.resize((size, size))
            own.append(fingerprint(grown))
    accused, together = found(own)
    largest = max((len(members) for members in together), default=1)
    return Measured(f"digits, {size} pixels", len(files), {}, accused, 0, largest, files)


def sheet(measured: Measured, folder: Path) -> None:
    """The accused pairs side by side, most alike first, four pairs to a row."""
    pairs = sorted(measured.accused, key=lambda pair: -pair.likeness)[:40]
    side = 120
    canvas = Image.new("RGB", (8 * side, (len(pairs) + 3) // 4 * side), "white")
    for number, pair in enumerate(pairs):
        for offset, place in enumerate((pair.first, pair.second)):
            with Image.open(measured.files[place]) as image:
                small = image.convert("RGB").resize((side - 6, side - 6))
            canvas.paste(small, ((2 * (number % 4) + offset) * side, number // 4 * side))
    if pairs:
        canvas.save(folder / f"{measured.name}.png")


def page(results: list[Measured], copies: int, seed: int) -> str:
    planted = [result for result in results if result.recalls]
    lines = [
        f"<!-- seed {seed} -->",
        f"Share of planted copies in one cluster with their source, of {copies} for each kind and "
        "set.",
        "",
        "| copies | " + " | ".join(result.name for result in planted) + " |",
        "|---|" + "---|" * len(planted),
    ]
    for kind in KINDS:
        row = " | ".join(f"{result.recalls[kind]:.3f}" for result in planted)
        lines.append(f"| {kind} | {row} |")
    lines += [
        "",
        "Pairs that nobody planted: among the pictures of the set, and further ones when copies "
        "are among them.",
        "",
        "| set | pictures | pairs accused | of all pairs | further, over all kinds | "
        "largest cluster |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        every = result.pictures * (result.pictures - 1) // 2
        lines.append(
            f"| {result.name} | {result.pictures:,} | {len(result.accused)} | "
            f"{len(result.accused) / every:.6%} | {result.by_copies} | {result.largest} |"
        )
    lines += ["", "| accused | | likeness |", "|---|---|---|"]
    for result in results:
        for pair in result.accused:
            names = [f"{result.name}: {result.files[p].name}" for p in (pair.first, pair.second)]
            lines.append(f"| {names[0]} | {names[1]} | {pair.likeness:.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--copies", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sheets", type=Path)
    options = parser.parse_args()
    results = []
    for name in SETS:
        results.append(measure(options.datasets / name, options.copies, options.seed))
        print(name, results[-1].recalls, len(results[-1].accused), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write_digits(Path(folder, "digits"))
        results += [digits(Path(folder, "digits"), size) for size in (32, 224)]
    (RESULTS / "leaks.md").write_text(page(results, options.copies, options.seed), encoding="utf-8")
    for result in results if options.sheets else []:
        if result.recalls:
            sheet(result, options.sheets)


if __name__ == "__main__":
    main()
