from io import StringIO

import numpy as np
from rich.console import Console

from finetune.cli.scores import show_scores
from finetune.evaluation.metrics import scores


def _shown(more: dict) -> str:
    labels = np.repeat([0, 1], [40, 6])
    probabilities = np.random.default_rng(1).dirichlet([5, 1], 46)
    metrics = scores(
        probabilities,
        labels,
        ("common", "rare"),
        split="test",
        confidence=0.95,
        resamples=50,
        seed=1,
        majority=0,
    )
    written = StringIO()
    console = Console(file=written, width=80)
    show_scores(console, metrics | more)
    return " ".join(written.getvalue().split())


def test_leaks_and_doubts_are_told_under_the_scores() -> None:
    told = _shown({"leaked": {"n": 4, "accuracy_without": {"value": 0.5, "low": 0.3, "high": 0.7}}})
    assert "4 images show what stands in an earlier part too; accuracy without: 0.500" in told
    assert "macro F1 (?)" in told
    assert "1 class of fewer than 10 images: rare" in told
    leak, doubt, classes = (told.index(text) for text in ("4 images", "Don't rely", "Classes"))
    assert leak < doubt < classes


def test_what_abstaining_comes_to_is_told() -> None:
    share = {"value": 0.75, "low": 0.6, "high": 0.9}
    told = _shown({"abstention": {"answered": share, "accuracy": share | {"value": 0.9}}})
    assert "With --abstain, 75.0% of these images are answered; 90.0% of the answers" in told
    assert "earlier part" not in told
