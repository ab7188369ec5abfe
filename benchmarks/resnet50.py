"""Every recipe runs through with a full-size ResNet-50 weights file, on 200 images.

    python benchmarks/resnet50.py DATA [--epochs 1]

The weights are drawn from a seed (no score means anything here); what is shown is that each
recipe's whole path works at full size, and its wall time. `--epochs` shortens gradient phases.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

import finetune
from finetune.console import Console
from finetune.recipe.loading import load_recipe
from finetune.recipe.schema import GradientPhase

IMAGES = 200


def write_weights(path: Path) -> Path:
    torch.manual_seed(0)
    save_file(timm.create_model("resnet50", num_classes=1000).state_dict(), path)
    return path


def write_subset(data: Path, path: Path) -> Path:
    """A CSV of the first images of each class folder of DATA, in turn, up to 200."""
    folders = sorted(folder for folder in data.iterdir() if folder.is_dir())
    files = [sorted(file for file in folder.rglob("*") if file.is_file()) for folder in folders]
    rows = [
        f"{files[c][n].absolute()},{folders[c].name}"
        for n in range(max(map(len, files)))
        for c in range(len(folders))
        if n < len(files[c])
    ]
    path.write_text("\n".join(["path,label", *rows[:IMAGES]]) + "\n", encoding="utf-8")
    return path


def shortened(recipe: str, epochs: int) -> list[str]:
    phases = load_recipe(recipe).phases
    return [f"phases.{p.name}.epochs={epochs}" for p in phases if isinstance(p, GradientPhase)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--recipes", nargs="*", default=[e.name for e in finetune.catalogue()])
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    data = write_subset(options.data, folder / "images.csv")
    weights = write_weights(folder / "resnet50.safetensors")
    print("| recipe | wall time, s | kept | size of the run, MB |\n|---|---|---|---|")
    for recipe in options.recipes:
        own = not load_recipe(recipe).model.pretrained
        started = time.perf_counter()
        run = finetune.train(
            data,
            recipe,
            overrides=[*shortened(recipe, options.epochs)],
            weights=None if own else weights,
            out=folder / recipe,
            reporter=Console(),
        )
        seconds = time.perf_counter() - started
        size = sum(f.stat().st_size for f in run.path.rglob("*") if f.is_file()) / 1e6
        print(f"| {recipe} | {seconds:.0f} | {run.phases['kept']} | {size:.0f} |", flush=True)


if __name__ == "__main__":
    main()
