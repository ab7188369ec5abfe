"""A check of DATA: all that can be said of it before a training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finetune.console import Reporter, Silent, Task
from finetune.data import judging
from finetune.data.copies.leaks import Leak, find_leaks, treat_leaks
from finetune.data.files.oddities import oddities
from finetune.data.manifest import Item
from finetune.data.metadata import metadata_leaks
from finetune.data.parts.dividing import as_given
from finetune.data.reading import list_data
from finetune.data.surveying import Survey, divide_survey, survey
from finetune.evaluation.clusters import group_numbers
from finetune.inspection.advice import advise
from finetune.inspection.findings import Copies, Findings, Lookalike, Problem
from finetune.inspection.lookalikes import alike
from finetune.inspection.suggesting import suggest
from finetune.inspection.suspects import suspect_fixes, suspects
from finetune.recipe.schema import DataOptions
from finetune.text import listed, plural


def check_data(data: Path, options: DataOptions, seed: int, reporter: Reporter) -> Findings:
    """Look at DATA whole. Nothing is written; no fault ends it but that there is nothing to see.

    Args:
        data: In the forms that training takes.
        options: The recipe's ``data`` section.
        seed: The recipe's seed: DATA is divided as a training would divide it.
        reporter: Told how far it is.

    Raises:
        DataError: DATA is none of the forms, or ``options.fixes`` can't be followed.
    """
    listing = list_data(data, reporter)
    surveyed = survey(listing, options, reporter)
    told = Collector(reporter)
    items = as_given(surveyed.items, Silent())
    divided = divide_survey(surveyed, options, seed, told)
    if options.on_leak == "drop":
        divided = treat_leaks(divided, surveyed.copies, options.on_leak, Silent())
    leaks = find_leaks(items, surveyed.copies)
    problems = list(_problems(surveyed))
    copies = _copies(surveyed)
    metadata = metadata_leaks(items, surveyed.looks, seed)
    findings = Findings(
        name=data.resolve().name,
        root=listing.root,
        items=items,
        divided=divided,
        looks=surveyed.looks,
        copies=copies,
        leaks=leaks,
        problems=problems,
        metadata=metadata,
        lookalikes=None,
        notes=[*listing.notes, *told.notes],
        suspects=None,
        warnings=[
            *listing.warnings,
            *_faults(surveyed, divided),
            *told.warnings,
            *_on_problems(problems),
            *_on_leaks(leaks, options.on_leak),
        ],
        advice=[],
        fixes=suggest(items, copies, leaks, problems),
    )
    carved = not any(item.split == "test" for item in items)
    return replace(findings, advice=advise(findings.counts, carved, options.test))


def with_lookalikes(
    findings: Findings, places: Sequence[int], features: npt.NDArray[np.float32]
) -> Findings:
    """``findings`` with the pairs that a pretrained network takes for nearly the same.

    Args:
        findings: Of `check_data`.
        places: Of the items that ``features`` are of, ``[N]``.
        features: What comes before the network's classifier, ``[N, D]``.
    """
    position = {place: index for index, place in enumerate(places)}
    known = [[position[p] for p in each.places if p in position] for each in findings.copies]
    pairs = alike(features, [cluster for cluster in known if cluster])
    found = [Lookalike(places[one], places[other], cosine) for one, other, cosine in pairs]
    return replace(findings, lookalikes=found)


def with_suspects(
    findings: Findings,
    places: Sequence[int],
    probabilities: npt.NDArray[np.floating],
    classes: Sequence[str],
) -> Findings:
    """``findings`` with the images whose label is doubtful, and a row of ``fixes`` for each.

    Args:
        findings: Of `check_data`.
        places: Of the N items that ``probabilities`` are of.
        probabilities: Out-of-fold, ``[N, C]``.
        classes: The C classes' names, the items' among them.
    """
    items = [findings.divided[place] for place in places]
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[item.label] for item in items], dtype=np.int64)
    groups = group_numbers([item.group for item in items])
    found = [
        replace(each, place=places[each.place])
        for each in suspects(probabilities, labels, classes, groups)
    ]
    copies = [each.places for each in findings.copies]
    more = suspect_fixes(found, findings.items, findings.fixes, copies)
    fixes = sorted([*findings.fixes, *more], key=lambda fix: fix.path)
    return replace(findings, suspects=found, fixes=fixes)


@dataclass
class Collector:
    """A reporter that keeps what it is told, and shows how far work is on another."""

    shown: Reporter
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def say(self, message: str) -> None:
        """Keep ``message``."""
        self.notes.append(message)

    def warn(self, message: str) -> None:
        """Keep ``message``."""
        self.warnings.append(message)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show nothing."""

    def task(
        self, title: str, total: int, unit: str, done: int = 0
    ) -> AbstractContextManager[Task]:
        """A task on the other reporter."""
        return self.shown.task(title, total, unit, done)


def _problems(surveyed: Survey) -> Iterator[Problem]:
    """Of the images that are learnt from: what a person dropped was looked at."""
    for item in sorted(surveyed.items, key=lambda item: item.path):
        for kind, message in oddities(surveyed.looks[item.path]) if item.status == "ok" else ():
            yield Problem(item.path, kind, message)


def _copies(surveyed: Survey) -> list[Copies]:
    """The same files together, and then the same pictures where those are more."""
    found = []
    for cluster in surveyed.copies:
        by_digest: dict[str, list[int]] = {}
        for place in cluster:
            by_digest.setdefault(surveyed.items[place].digest, []).append(place)
        exact = [places for places in by_digest.values() if len(places) > 1]
        found += [Copies(tuple(places), "exact") for places in exact]
        if len(by_digest) > 1:
            found.append(Copies(tuple(cluster), "near"))
    return found


def _faults(surveyed: Survey, divided: Sequence[Item]) -> Iterator[str]:
    """What would end a training, and what it would warn of."""
    items, classes = surveyed.items, surveyed.listing.classes
    yield from judging.label_faults(items)
    yield from judging.count_faults(items, classes)
    if empty := judging.empty_classes(items, classes):
        count = plural(len(empty), "class", "classes")
        yield f"{count} without an image that can be read: {listed(empty)}"
    yield from judging.coverage_faults(divided)
    yield from judging.coverage_warnings(divided)
    yield from judging.straddling(divided)


def _on_leaks(leaks: Sequence[Leak], on_leak: str) -> Iterator[str]:
    if leaks and on_leak == "error":
        yield "data.on_leak is error, and there are leaks: a training would end here"


_KINDS = {
    "tiny": "tiny",
    "shape": "of an extreme shape",
    "blank": "nearly one colour",
    "dark": "very dark",
    "bright": "very bright",
    "blurred": "blurred",
    "animated": "animated or of several pages; the first picture is taken",
}


def _on_problems(problems: Sequence[Problem]) -> Iterator[str]:
    for kind, words in _KINDS.items():
        paths = [problem.path for problem in problems if problem.kind == kind]
        if paths:
            count = plural(len(paths), "image is", "images are")
            yield f"{count} {words}: {listed(paths, 3)}"
    modes = Counter(problem.message for problem in problems if problem.kind == "mode")
    if modes:
        told = ", ".join(f"{count:,} with {mode}" for mode, count in modes.most_common())
        yield f"unusual colour modes, converted to RGB: {told}"
