"""The sections of a check's page without pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from finetune.data.manifest import PARTS
from finetune.inspection.findings import Findings
from finetune.report.bars import Segment, stacked
from finetune.report.pictures import Section, Table, evenly

_MOST_ROWS = 100
_MOST_CLASSES = 400


def text_sections(findings: Findings) -> Iterator[Section]:
    """What has no picture to show; nothing where nothing was found."""
    sections = unreadable(findings), metadata(findings), warnings(findings)
    yield from (section for section in sections if section.count)


def unreadable(findings: Findings) -> Section:
    """Files that no picture can be had from."""
    rows = [(item.path, item.label, item.reason) for item in findings.bad[:_MOST_ROWS]]
    return Section(
        "unreadable",
        "Files that can't be read",
        "A training leaves them out. Put whole files in their place, or take them away.",
        len(findings.bad),
        table=Table(("File", "Class", "Reason"), rows, texts=3),
        entries=len(findings.bad),
    )


def metadata(findings: Findings) -> Section:
    """Traits of the files by which a class can be guessed."""
    rows = [
        (m.trait, f"{m.accuracy:.2f}", f"{m.baseline:.2f}", f"{m.n:,}") for m in findings.metadata
    ]
    return Section(
        "metadata",
        "The files themselves tell the class",
        "The class can be guessed from how a file was made, without the picture. A network can "
        "learn that in place of what is on it, and fails on files made in another way. Take the "
        "pictures of all classes with the same cameras and settings, or save them all alike.",
        len(rows),
        table=Table(
            ("What tells it", "Accuracy", "Guessing the commonest class", "Images"), rows, 1
        ),
    )


def warnings(findings: Findings) -> Section:
    """All that a person should look at, in words."""
    return Section(
        "warnings",
        "Other warnings",
        "What the check said, in the order in which it came up.",
        len(findings.warnings),
        lines=findings.warnings[:_MOST_ROWS],
        entries=len(findings.warnings),
    )


@dataclass(frozen=True)
class ClassRow:
    """A class with its images.

    Attributes:
        name: Of the class.
        counts: Images in each part.
        total: In all parts.
        bar: Of the counts, beside those of the largest class.
    """

    name: str
    counts: Mapping[str, int]
    total: int
    bar: tuple[Segment, ...]


def class_rows(findings: Findings) -> list[ClassRow]:
    """The classes by name; from all over the list where there are very many."""
    counts = findings.counts
    largest = max((sum(parts.values()) for parts in counts.values()), default=1)
    return [
        ClassRow(name, counts[name], sum(counts[name].values()), _bar(counts[name], largest))
        for name in evenly(list(counts), _MOST_CLASSES)
    ]


def part_sizes(findings: Findings) -> dict[str, int]:
    """Images of each part, as a training would divide them."""
    return {part: sum(parts[part] for parts in findings.counts.values()) for part in PARTS}


def _bar(counts: Mapping[str, int], largest: int) -> tuple[Segment, ...]:
    return tuple(stacked(counts, largest))
