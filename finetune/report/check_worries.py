"""What to look at first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


_GRAVE = (
    ("unreadable", "file", "{count} can't be read and would be left out."),
    ("leaks", "pair", "{count} of the same picture in two parts: scores come out too good."),
    ("conflicts", "picture", "{count} in several classes at once: labels are wrong."),
)
_SLIGHT = (
    ("doubtful", "label", "{count} doubted by a linear probe on pictures that it had not seen."),
    ("lookalikes", "pair", "{count} of pictures that look alike to a pretrained network."),
    ("copies", "picture", "{count} more than once in one class."),
)


def worries(findings: Findings, sections: Mapping[str, Section]) -> list[Worry]:
    """All of them, the gravest first; ``sections`` are those with content, by anchor."""
    return [
        *_counted(_GRAVE, sections),
        *_metadata(findings),
        *_warnings(findings),
        *_counted(_SLIGHT, sections),
    ]


def _counted(
    texts: Sequence[tuple[str, str, str]], sections: Mapping[str, Section]
) -> Iterator[Worry]:
    for anchor, noun, text in texts:
        if anchor in sections:
            yield Worry(text.format(count=plural(sections[anchor].count, noun)), anchor)


def _metadata(findings: Findings) -> Iterator[Worry]:
    for leak in findings.metadata:
        yield Worry(
            f"The {leak.trait} of a file alone tells its class with an accuracy of "
            f"{leak.accuracy:.2f} (guessing: {leak.baseline:.2f}).",
            "metadata",
        )


def _warnings(findings: Findings) -> Iterator[Worry]:
    """The first line of each."""
    for warning in findings.warnings:
        yield Worry(warning.split("\n")[0], "warnings")
