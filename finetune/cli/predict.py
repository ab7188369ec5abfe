"""``finetune predict`` and ``finetune evaluate``."""

from __future__ import annotations

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
    failed = frame[frame["error"] != ""]
    if len(failed):
        names = [f"{row.path}: {row.error}" for row in failed.itertuples()]
        reporter.warn(f"{plural(len(failed), 'file')} can't be read: {listed(names)}")
    read = frame[frame["error"] == ""]
    answered = read[read["reason"] == ""]
    counts = answered["predicted"].value_counts()
    rows = [[str(name), f"{count:,}"] for name, count in counts.items()]
    if abstain:
        rows.append(["(no answer)", f"{len(read) - len(answered):,}"])
    reporter.table(plural(len(frame) - len(failed), "image"), ["predicted", "images"], rows)
    Screen(highlight=False).print(f"Written: {out}", markup=False, soft_wrap=True)


def evaluate_model(model: Path, data: str, out: Path) -> None:
    """Score a classifier and show the scores."""
    from finetune import api

    metrics = api.evaluate(model, data, out, reporter=Console())
    screen = Screen(highlight=False)
    show_scores(screen, metrics)
    screen.print(f"Written: {out}", markup=False, soft_wrap=True)
