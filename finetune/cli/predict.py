"""``finetune predict``, ``finetune embed`` and ``finetune evaluate``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console as Screen

from finetune.cli.scores import show_scores
from finetune.console import Console
from finetune.text import listed, plural


def predict_files(model: Path, inputs: list[str], out: Path, *, abstain: bool) -> None:
    """Classify images into a CSV file and tell how many of each class there are."""
    from finetune import api

    reporter = Console()
    frame = api.predict(model, inputs, out=out, abstain=abstain, reporter=reporter)
    failed = _tell_unreadable(reporter, frame["path"], frame["error"])
    read = frame[frame["error"] == ""]
    answered = read[read["reason"] == ""]
    counts = answered["predicted"].value_counts()
    rows = [[str(name), f"{count:,}"] for name, count in counts.items()]
    if abstain:
        rows.append(["(no answer)", f"{len(read) - len(answered):,}"])
    reporter.table(plural(len(frame) - failed, "image"), ["predicted", "images"], rows)
    Screen(highlight=False).print(f"Written: {out}", markup=False, soft_wrap=True)


def embed_files(model: Path, inputs: list[str], out: Path) -> None:
    """Write what the network sees of images into a Parquet file, and tell how many there are."""
    from finetune import api

    reporter = Console()
    embeddings = api.embed(model, inputs, out=out, reporter=reporter)
    failed = _tell_unreadable(reporter, embeddings.paths, embeddings.errors)
    images, numbers = len(embeddings) - failed, embeddings.features.shape[1]
    screen = Screen(highlight=False)
    screen.print(f"{plural(images, 'image')}, {plural(numbers, 'number')} each.", markup=False)
    screen.print(f"Written: {out}", markup=False, soft_wrap=True)


def _tell_unreadable(reporter: Console, paths: Iterable[str], errors: Iterable[str]) -> int:
    """Warn of the files that can't be read; how many there are."""
    failed = [f"{path}: {error}" for path, error in zip(paths, errors, strict=True) if error]
    if failed:
        reporter.warn(f"{plural(len(failed), 'file')} can't be read: {listed(failed)}")
    return len(failed)


def evaluate_model(model: Path, data: str, out: Path) -> None:
    """Score a classifier and show the scores."""
    from finetune import api

    metrics = api.evaluate(model, data, out, reporter=Console())
    screen = Screen(highlight=False)
    show_scores(screen, metrics)
    screen.print(f"Written: {out}", markup=False, soft_wrap=True)
