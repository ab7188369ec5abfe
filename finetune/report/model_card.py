"""The model card: what a classifier is for, what it can do, and what it can't.

It lies beside the weights as ``README.md``, in the form of the model hub: YAML, then Markdown. It
is for people who get the model without the run, so it names no place on the machine that made it.
"""

from __future__ import annotations

from finetune.files import write_text
from finetune.report.card_data import base_model, data_name, front_matter, licence
from finetune.report.card_sections import (
    calibration,
    classes,
    data,
    limits,
    repetition,
    scores,
    usage,
    versions,
    worries,
)
from finetune.report.evidence import Evidence, read_evidence
from finetune.report.markdown import plain
from finetune.run import RunDirectory
from finetune.text import plural

_SECTIONS = (
    ("Scores", scores),
    ("What to worry about", worries),
    ("Classes", classes),
    ("Calibration", calibration),
    ("Limits", limits),
    ("Data", data),
    ("How to use it", usage),
    ("How to repeat the training", repetition),
    ("Versions", versions),
)
_MOST_NAMED = 20


def write_model_card(run: RunDirectory) -> None:
    """Write ``model/README.md`` of a run, from its directory alone.

    Raises:
        RunError: The training has not come to its end, or a file is missing or can't be read.
        DataError: ``data.csv`` can't be read.
    """
    write_text(run.model_card, model_card(read_evidence(run)))


def model_card(evidence: Evidence) -> str:
    """Markdown with YAML at its head; the same for the same evidence."""
    lines = [f"# {plain(evidence.name)}", "", *_purpose(evidence), ""]
    for title, section in _SECTIONS:
        lines += [f"## {title}", "", *section(evidence), ""]
    lines.append(
        "*Made by `finetune` from the run directory alone; `finetune report RUN` makes it again.*"
    )
    return front_matter(evidence) + "\n" + "\n".join(lines) + "\n"


def _purpose(evidence: Evidence) -> list[str]:
    names = evidence.metrics["classes"]
    shown = ", ".join(plain(name) for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return [
        f"It tells {plural(len(names), 'class', 'classes')} of pictures apart: {shown}{more}. It "
        f"is for pictures like those of {plain(data_name(evidence))}, from which it has learnt.",
        "",
        _origin(evidence),
    ]


def _origin(evidence: Evidence) -> str:
    weights = evidence.environment["weights"]
    architecture = plain(str(weights["architecture"]))
    if not weights["pretrained"]:
        return f"The network is {architecture}, trained from random weights."
    source = base_model(evidence) or str(weights["source"])
    told = licence(evidence)
    terms = (
        f"The licence {plain(told)} is that of those weights; that of the pictures is not known "
        "here."
        if told
        else "The licence of those weights is not known, so that none is named."
    )
    return f"The network is {architecture}, fine-tuned from the weights {plain(source)}. {terms}"
