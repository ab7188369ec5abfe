"""The report of a run: what was asked, the answer, and what to worry about."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

from finetune.files import write_text
from finetune.report.answers import MOST_DOUBTS, MOST_SHOWN, least_certain, pictured, worst
from finetune.report.choices import choices
from finetune.report.confusion import confusion
from finetune.report.curves import class_charts, confidence_charts, training_charts
from finetune.report.evidence import Evidence, read_evidence
from finetune.report.rendering import render, template_text
from finetune.report.run_tables import (
    class_scores,
    data_sections,
    images_by_part,
    phase_audits,
    repeated,
    score_rows,
    surroundings,
)
from finetune.report.run_worries import run_worries, validation_accuracy
from finetune.run import RunDirectory

MOST_BYTES = 5 * 2**20
"""Of a page: what can be sent by mail, and opens at once."""


def write_report(run: RunDirectory) -> None:
    """Write ``report.html`` of a run, from its directory alone.

    Raises:
        RunError: The training has not come to its end, or a file is missing or can't be read.
        DataError: ``data.csv`` can't be read.
    """
    write_text(run.report, run_page(read_evidence(run)))


def run_page(evidence: Evidence) -> str:
    """One HTML document that needs nothing beside itself; the same for the same evidence.

    It has less than `MOST_BYTES`: where long names want them, fewer pictures are in the lists of
    the confusion matrix, which tell how many are left out.
    """
    paths = pictured(evidence.answers)
    page = _page(evidence, paths)
    while paths and len(page.encode()) >= MOST_BYTES:
        paths = paths[: len(paths) // 2]
        page = _page(evidence, paths)
    return page


def _page(evidence: Evidence, paths: Sequence[str]) -> str:
    script = template_text("run.js")
    return render(
        "run.html",
        run=evidence,
        metrics=evidence.metrics,
        parts=images_by_part(evidence),
        validation=validation_accuracy(evidence),
        worries=run_worries(evidence),
        scores=score_rows(evidence.metrics),
        classes=class_scores(evidence.metrics),
        confusion=confusion(evidence.answers, evidence.metrics["classes"], frozenset(paths)),
        worst=worst(evidence.answers),
        uncertain=least_certain(evidence.answers),
        most=MOST_SHOWN,
        most_doubts=MOST_DOUBTS,
        sections=data_sections(evidence),
        charts=[*training_charts(evidence), *confidence_charts(evidence)],
        class_charts=class_charts(evidence),
        phases=phase_audits(evidence.phases),
        choices=choices(evidence.recipe),
        surroundings=surroundings(evidence.environment),
        command=repeated(evidence),
        thumbnails=evidence.thumbnails,
        script=Markup(script),
        script_digest=_digest(script),
    )


def _digest(script: str) -> str:
    """Of the one script that a browser is allowed to run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
