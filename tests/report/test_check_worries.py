from __future__ import annotations

from finetune.data.copies.leaks import Leak
from finetune.data.metadata import MetadataLeak
from finetune.inspection.findings import Copies, Lookalike
from finetune.report.check_sections import picture_sections
from finetune.report.check_tables import text_sections
from finetune.report.check_worries import worries
from tests.report.pages import make_findings, make_items


def told(findings) -> list[tuple[str, str]]:
    sections = [*picture_sections(findings), *text_sections(findings)]
    found = worries(findings, {section.anchor: section for section in sections})
    return [(worry.anchor, worry.text) for worry in found]


def test_the_gravest_come_first():
    found = make_findings(
        make_items(8),
        copies=[Copies((0, 1), "exact"), Copies((2, 4), "exact")],
        leaks=[Leak(0, 2, "near"), Leak(0, 4, "near")],
        lookalikes=[Lookalike(5, 6, 0.9)],
        metadata=[MetadataLeak("camera", 0.75, 0.5, 8)],
        warnings=["two groups stand in two parts:\n  a"],
    )
    assert told(found) == [
        ("leaks", "2 pairs of the same picture in two parts: scores come out too good."),
        ("conflicts", "1 picture in several classes at once: labels are wrong."),
        (
            "metadata",
            "The camera of a file alone tells its class with an accuracy of 0.75 (guessing: 0.50).",
        ),
        ("warnings", "two groups stand in two parts:"),
        ("lookalikes", "1 pair of pictures that look alike to a pretrained network."),
        ("copies", "1 picture more than once in one class."),
    ]


def test_where_nothing_was_found_there_are_none():
    assert told(make_findings(make_items(8))) == []
