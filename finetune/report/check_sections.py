"""The sections of a check's page that show pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from finetune.data.files.oddities import TINY
from finetune.data.manifest import Item
from finetune.inspection.findings import Copies, Findings, Problem
from finetune.inspection.suspects import Suspect
from finetune.report.pictures import Group, Picture, Section, evenly
from finetune.text import plural

MOST_PAIRS, MOST_CLUSTERS = 40, 30
"""Shown in a section; more than that nobody goes through by eye."""

_A_CLUSTER = 6
_A_KIND = 12
_A_CLASS = 8
_MOST_CLASSES = 60

_SAME = {"exact": "The same file", "near": "Nearly the same picture"}

_KINDS = {
    "tiny": f"Tiny: the shorter side has fewer than {TINY} pixels",
    "shape": "Long and narrow: most of it is cut off, or it is shrunk to a strip",
    "blank": "Nearly one colour: there is nothing to see",
    "dark": "Very dark",
    "bright": "Very bright",
    "blurred": "Blurred: there is no sharp edge",
    "animated": "Several pictures in one file: the first is taken",
    "mode": "Unusual colours: converted to plain red, green and blue",
}


def picture_sections(findings: Findings) -> Iterator[Section]:
    """What is wrong with pictures, the gravest first; nothing where nothing was found."""
    grave = leaks(findings), conflicts(findings), doubtful(findings)
    slight = copies(findings), lookalikes(findings), odd(findings)
    yield from (section for section in (*grave, *slight) if section.count)


def leaks(findings: Findings) -> Section:
    """Pairs on two sides of DATA's own splits."""
    items = findings.items
    pairs = [
        _pair(_SAME[leak.kind], items[leak.first], items[leak.second])
        for leak in findings.leaks[:MOST_PAIRS]
    ]
    return Section(
        "leaks",
        "The same picture in two parts",
        "What was learnt from, or chosen on, would be scored too, so that the scores come out "
        "too good. Mend the splits; or train with `--set data.on_leak=drop`, which leaves out the "
        "copies in the earlier part.",
        len(findings.leaks),
        pairs,
        entries=len(findings.leaks),
    )


def conflicts(findings: Findings) -> Section:
    """Copies with different labels."""
    found = findings.conflicts
    return Section(
        "conflicts",
        "The same picture with different labels",
        "One of the labels is wrong, or the picture belongs into neither class alone. Decide for "
        "each; where most of the copies agree, fixes.csv suggests their label for the others.",
        len(found),
        [_cluster(findings, each) for each in found[:MOST_CLUSTERS]],
        entries=len(found),
    )


def doubtful(findings: Findings) -> Section:
    """Images that a linear probe takes for another class, by the class that they have."""
    found = findings.suspects or ()
    shown = [_doubted(findings, each) for each in found[:MOST_PAIRS]]
    return Section(
        "doubtful",
        "Labels that are doubtful",
        "A linear probe that had not seen these pictures takes them for another class. Some labels "
        "are wrong, some pictures are just hard: look at each before you follow fixes.csv. Test "
        "images that are relabelled unseen make scores come out too good.",
        len(found),
        [Group("The most doubtful first", shown, len(found))],
    )


def copies(findings: Findings) -> Section:
    """Copies of one label in one part: those that no other section shows."""
    found = [each for each in _whole(findings.copies) if _is_harmless(findings, each)]
    return Section(
        "copies",
        "The same picture several times in one class",
        "Nothing is wrong with these, but they count more than other pictures do. fixes.csv "
        "suggests to drop the same files but for the first, and to keep those that are nearly "
        "the same in one part.",
        len(found),
        [_cluster(findings, each) for each in found[:MOST_CLUSTERS]],
        entries=len(found),
    )


def lookalikes(findings: Findings) -> Section:
    """Pairs that a pretrained network finds."""
    found, divided = findings.lookalikes or (), findings.divided
    return Section(
        "lookalikes",
        "Pictures that look alike",
        "Their pixels differ, but a pretrained network sees nearly the same in both: crops, "
        "pictures of one scene, or of one object. Keep such pictures in one part, with a column "
        "group or with fixes.csv; in two parts they make scores too good.",
        len(found),
        [
            _pair(f"Likeness {each.cosine:.3f} of 1", divided[each.first], divided[each.second])
            for each in found[:MOST_PAIRS]
        ],
        entries=len(found),
    )


def odd(findings: Findings) -> Section:
    """Odd pictures by kind."""
    by_path = {item.path: item for item in findings.items}
    kinds: dict[str, list[Problem]] = {kind: [] for kind in _KINDS}
    for problem in findings.problems:
        kinds.setdefault(problem.kind, []).append(problem)
    groups = [
        Group(
            f"{_KINDS.get(kind, kind)} ({plural(len(found), 'image')})",
            [Picture.of(by_path[each.path], each.message) for each in evenly(found, _A_KIND)],
            len(found),
        )
        for kind, found in kinds.items()
        if found
    ]
    return Section(
        "odd",
        "Odd pictures",
        "None of these need be wrong. Where you can't see the class yourself, a network can't "
        "either: drop such pictures, or take them again.",
        len({problem.path for problem in findings.problems}),
        groups,
    )


def class_grid(findings: Findings) -> Section:
    """A few pictures of each class, from all over it."""
    by_class: dict[str, list[Item]] = defaultdict(list)
    for item in findings.items:
        if item.status == "ok":
            by_class[item.label].append(item)
    names = sorted(by_class)
    groups = [
        Group(name, [Picture.of(i) for i in evenly(by_class[name], _A_CLASS)], len(by_class[name]))
        for name in evenly(names, _MOST_CLASSES)
    ]
    return Section(
        "pictures",
        "What the classes look like",
        "Pictures from all over each class. Whatever tells the classes apart here will be learnt: "
        "look for what should not, as a background, a ruler, or the colour of the light.",
        len(names),
        groups,
        entries=len(names),
    )


def _doubted(findings: Findings, found: Suspect) -> Picture:
    note = f"{found.suggested}? ({found.confidence:.2f})"
    return Picture.of(findings.divided[found.place], note)


def _pair(title: str, first: Item, second: Item) -> Group:
    return Group(title, [Picture.of(first), Picture.of(second)], 2)


def _cluster(findings: Findings, found: Copies) -> Group:
    items = [findings.items[place] for place in found.places]
    by_label: dict[str, Item] = {}
    for item in items:  # where not all are shown, then one of each label before all others
        by_label.setdefault(item.label, item)
    first = list(by_label.values())
    ordered = [*first, *(item for item in items if item not in first)]
    return Group(_SAME[found.kind], [Picture.of(item) for item in ordered[:_A_CLUSTER]], len(items))


def _whole(found: Sequence[Copies]) -> list[Copies]:
    """Without the same files among pictures that are nearly the same and are shown together."""
    near = {place for each in found if each.kind == "near" for place in each.places}
    return [each for each in found if each.kind == "near" or each.places[0] not in near]


def _is_harmless(findings: Findings, found: Copies) -> bool:
    items = [findings.items[place] for place in found.places]
    return len({item.label for item in items}) == len({item.split for item in items}) == 1
