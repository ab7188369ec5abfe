"""What to look at first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune.inspection.findings import Findings
from finetune.report.pictures import Section
from finetune.text import plural


@dataclass(frozen=True, slots=True)
class Worry:
    """Something to look at.

    Attributes:
        text: A sentence.
        anchor: Of the section that has more of it.
    """

    text: str
    anchor: str


def worries(findings: Findings, sections: dict[str, Section]) -> list[Worry]:
    """All of them, the gravest first; ``sections`` are those with content, by anchor."""
    known = [
        Worry(text.format(count=plural(sections[anchor].count, *nouns)), anchor)
        for anchor, nouns, text in _TEXTS
        if anchor in sections
    ]
    return [*known, *_metadata(findings), *_warnings(findings)]


_TEXTS = (
    ("unreadable", ("file",), "{count} can't be read and would be left out."),
    ("leaks", ("pair",), "{count} of the same picture in two parts: scores come out too good."),
    ("conflicts", ("picture",), "{count} in several classes at once: labels are wrong."),
)


def _metadata(findings: Findings) -> Iterator[Worry]:
    for leak in findings.metadata:
        yield Worry(
            f"The {leak.trait} of a file alone tells its class with an accuracy of "
            f"{leak.accuracy:.2f} (guessing: {leak.baseline:.2f}).",
            "metadata",
        )


def _warnings(findings: Findings) -> Iterator[Worry]:
    """The first line of each, but for what a worry above says in its own words."""
    above = [f"the {leak.trait} of a file alone tells its class" for leak in findings.metadata]
    above += ["in several classes: "] if findings.conflicts() else []
    for warning in findings.warnings:
        if not any(words in warning for words in above):
            yield Worry(warning.split("\n")[0], "warnings")
