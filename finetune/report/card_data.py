"""The front matter of a model card, by which the model hub finds and lists a model."""

from __future__ import annotations

import re
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from finetune.evaluation.names import SCORE_NAMES
from finetune.report.evidence import Evidence
from finetune.text import printable

_TASK = "image-classification"
_TAGS = ("finetune", "timm", "transfer-learning")
_HUB = "hub: "

_LICENCES = frozenset({"apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "gemma", "mit"})
"""Of timm's weights, those whose name the hub knows; any other is ``other`` with its name."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")

_METRICS = {"macro_f1": "f1", "brier": "brier_score"}
"""Scores that the hub calls otherwise."""


def front_matter(evidence: Evidence) -> str:
    """YAML between two lines of dashes: licence, backbone, scores.

    Keys of which nothing is known are left out; the licence is that of the weights that the
    training began with, never a guess.
    """
    results = _results(evidence)
    data = ModelCardData(
        library_name="timm",
        pipeline_tag=_TASK,
        tags=[_TASK, *_TAGS],
        base_model=base_model(evidence),
        metrics=[result.metric_type for result in results],
        model_name=printable(evidence.name) or "a run",
        eval_results=results or None,
        **_licence(evidence),
    )
    return f"---\n{data.to_yaml()}\n---\n"


def base_model(evidence: Evidence) -> str | None:
    """The repository of the hub that the weights came from; None where they came from elsewhere."""
    source = str(evidence.environment["weights"]["source"])
    return printable(source.removeprefix(_HUB)) if source.startswith(_HUB) else None


def licence(evidence: Evidence) -> str | None:
    """Of the weights that the training began with; None where it is not known."""
    told = evidence.environment["weights"]["licence"]
    return None if told in (None, "", "unknown") else str(told)


def _licence(evidence: Evidence) -> dict[str, str]:
    told = (licence(evidence) or "").lower()  # the hub's names are in small letters
    if told in _LICENCES:
        return {"license": told}
    return {"license": "other", "license_name": told} if _SLUG.fullmatch(told) else {}


def data_name(evidence: Evidence) -> str:
    """What DATA is called; where it lay is not for others."""
    given = str(evidence.environment["data"]["given"])
    return re.split(r"[\\/]", given.rstrip("\\/"))[-1] or "data"


def _results(evidence: Evidence) -> list[Any]:
    """Each score that has a value, with its interval in its name: the hub has no place for one."""
    metrics = evidence.metrics
    return [
        EvalResult(
            task_type=_TASK,
            dataset_type="imagefolder",
            dataset_name=printable(data_name(evidence)),
            dataset_split={"val": "validation"}.get(metrics["split"], metrics["split"]),
            metric_type=_METRICS.get(key, key),
            metric_value=round(metrics[key]["value"], 6),
            metric_name=f"{name} ({metrics['confidence']:.0%} interval "
            f"{metrics[key]['low']:.3f} to {metrics[key]['high']:.3f})",
        )
        for key, name in SCORE_NAMES.items()
        if metrics[key]["value"] is not None
    ]
