"""The page of ``finetune check``: what was found in DATA, to be looked at."""

from __future__ import annotations

from finetune.console import Reporter
from finetune.inspection.findings import Findings
from finetune.report.check_sections import class_grid, picture_sections
from finetune.report.check_tables import class_rows, part_sizes, text_sections
from finetune.report.check_worries import worries
from finetune.report.pictures import paths_of
from finetune.report.rendering import render
from finetune.report.thumbnails import make_thumbnails


def check_page(findings: Findings, max_pixels: int, reporter: Reporter) -> str:
    """One HTML document that needs nothing beside itself; the same for the same findings.

    Lists are cut to what a person can look through, so that it stays within a few megabytes.

    Args:
        findings: Of `finetune.inspection.checking.check_data`.
        max_pixels: As ``data.max_pixels``: larger pictures are shown as grey tiles, and so are
            files that can't be read any more.
        reporter: Told how many thumbnails are made.
    """
    sections = [*picture_sections(findings), *text_sections(findings)]
    grid = class_grid(findings)
    paths = paths_of([*sections, grid])
    return render(
        "check.html",
        findings=findings,
        images=sum(item.status == "ok" for item in findings.items),
        parts=part_sizes(findings),
        given={item.split for item in findings.items if item.status == "ok"} - {""},
        worries=worries(findings, {section.anchor: section for section in sections}),
        sections=sections,
        classes=class_rows(findings),
        grid=grid,
        thumbnails=make_thumbnails(findings.root, paths, max_pixels, reporter),
    )
