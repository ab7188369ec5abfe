"""What a run directory could say, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune.data.manifest import Item
from finetune.evaluation.clusters import group_numbers
from finetune.evaluation.metrics import scores
from finetune.evaluation.table import Prediction, PredictionTable
from finetune.recipe.loading import load_recipe
from finetune.report.answers import Answer, answers, explained, pictured
from finetune.report.evidence import Evidence
from finetune.report.run_files import Epoch
from finetune.report.thumbnails import Thumbnail


def make_predictions(
    count: int, wrong: int, classes: Sequence[str], split: str = "test", stem: str = ""
) -> list[Prediction]:
    """Classes take turns; the first ``wrong`` are taken for the next class, all with 0.8."""
    made = []
    for number in range(count):
        label = number % len(classes)
        shares = np.full(len(classes), 0.2 / (len(classes) - 1))
        shares[(label + (number < wrong)) % len(classes)] = 0.8
        name = f"{stem}{split}/{number}.jpg"
        made.append(Prediction(name, split, classes[label], shares))
    return made


def make_evidence(
    test: Sequence[Prediction],
    classes: Sequence[str],
    *,
    val: Sequence[Prediction] = (),
    more: Sequence[Item] = (),
    name: str = "photos-1",
    split: str = "test",
    groups: Sequence[str] | None = None,
    thumbnail: int = 10,
    words: str = "said",
    judged: int = 0,
    doubted: Sequence[Answer] = (),
    heat: bool = True,
    **changed: Any,
) -> Evidence:
    """Of a run with these predictions; ``changed`` are keys of the metrics."""
    table = PredictionTable((*val, *test), tuple(classes), {})
    scored = answers(table, split)
    index = {each: place for place, each in enumerate(classes)}
    given = [p for p in table.predictions if p.split == split and p.probabilities is not None]
    labels = np.array([index[p.label] for p in given])
    numbers = group_numbers(groups)
    metrics = scores(
        np.array([p.probabilities for p in given]), labels, classes, split=split, confidence=0.95,
        resamples=2, seed=1, majority=0, groups=numbers,
    )  # fmt: skip
    items = [
        Item(p.path, p.label, p.split, digest=f"{n:064x}", group=groups[n] if groups else "")
        for n, p in enumerate(table.predictions)
    ]
    picture = Thumbnail(b"\0" * thumbnail, 120, 90)
    return Evidence(
        name=name,
        recipe=load_recipe("lp_ft"),
        recipe_text=f"# {words}\nname: lp_ft\n",
        environment=_environment(words),
        phases=_phases(words),
        metrics=metrics | changed,
        items=(*items, *more),
        table=table,
        answers=scored,
        log=[Epoch("main", words, number, 1 / number, 1.5 / number) for number in range(1, 6)],
        judged=judged,
        doubts=list(doubted),
        thumbnails=dict.fromkeys([*pictured(scored), *(each.path for each in doubted)], picture),
        heat=dict.fromkeys((each.path for each in explained(scored)), picture) if heat else {},
    )


def _environment(words: str) -> dict[str, Any]:
    return {
        "python": "3.11",
        "packages": {"timm": words},
        "system": words,
        "processor": words,
        "cores": 2,
        "command": ["finetune", words],
        "device": "cpu",
        "data": {
            "given": words, "root": words, "digest": "0" * 64, "named": {"a": {"file": words}},
        },
        "weights": {
            "asked": words, "source": words, "architecture": words, "pretrained": False,
            "licence": words, "digest": None,
        },
    }  # fmt: skip


def _phases(words: str) -> dict[str, Any]:
    stage = {"stage": words, "parameters": 7, "trained": 0, "batch_norm": "", "lr": None}
    done = {
        "name": words, "train": "head", "solver": "lbfgs", "stages": [stage], "seconds": 4.0,
        "frozen": {"tensors": 3, "digest_before": "a", "digest_after": "a"}, "ended": words,
        "l2": 0.1, "kept": True, "choice": words,
    }  # fmt: skip
    not_run = {"name": "tune", "train": "all", "ended": words, "kept": False, "choice": words}
    return {
        "kept": words, "judged_on": "", "judged_images": 0, "refitted": True, "temperature": 0.9,
        "calibrated_on": words, "phases": [done, not_run],
    }  # fmt: skip
