"""Who is accused, and that what is suggested can be followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.console import Silent
from finetune.data.fixes import DROP, GROUP, RELABEL, Fix, apply_fixes, read_fixes, write_fixes
from finetune.data.manifest import Item
from finetune.inspection.checking import check_data, with_suspects
from finetune.inspection.findings import Findings
from finetune.inspection.suspects import Suspect, suspect_fixes, suspects
from finetune.recipe.schema import DataOptions
from finetune.training.probing import probed

NAMES = tuple("abcd")


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, tied ones among them, and labels."""
    images, classes = draw(st.integers(0, 20)), draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    values = generator.integers(1, draw(st.sampled_from([2, 5, 1000])), (images, classes)) * 1.0
    return values / values.sum(1, keepdims=True), generator.integers(0, classes, images)


@given(judged())
def test_suspects_are_ranked_and_taken_for_another_class(found) -> None:
    values, labels = found
    listed = suspects(values, labels, NAMES)
    assert [each.margin for each in listed] == sorted((e.margin for e in listed), reverse=True)
    assert len({each.place for each in listed}) == len(listed)
    for each in listed:
        row = values[each.place]
        assert each.given == NAMES[labels[each.place]] != each.suggested
        assert each.suggested == NAMES[row.argmax()]
        assert each.confidence == row.max() > row[labels[each.place]]
        assert each.margin == pytest.approx(row.max() - row[labels[each.place]])


@given(judged())
def test_nobody_is_accused_where_probabilities_agree(found) -> None:
    values, _ = found
    assert suspects(values, values.argmax(1) if len(values) else np.empty(0, int), NAMES) == []


@given(judged(), st.integers(0, 99))
def test_the_order_of_images_changes_nothing(found, seed: int) -> None:
    values, labels = found
    order = np.random.default_rng(seed).permutation(len(labels))
    one = {e.place for e in suspects(values, labels, NAMES)}
    other = {int(order[e.place]) for e in suspects(values[order], labels[order], NAMES)}
    assert one == other


def test_as_many_as_reach_what_their_class_usually_gets_and_those_of_the_widest_margins() -> None:
    values = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.7, 0.3], [0.35, 0.65]])
    labels = np.array([0, 0, 1, 1, 1, 0])
    # Class a usually gets 0.72, more than the 0.7 of the fifth image; class b gets 0.5: one image
    # counts, and the fifth has the widest margin.
    (found,) = suspects(values, labels, NAMES[:2])
    assert (found.place, found.given, found.suggested) == (4, "b", "a")
    assert (found.confidence, found.margin) == (0.7, pytest.approx(0.4))


def test_a_class_that_no_training_had_learnt_accuses_nobody_and_is_not_accused() -> None:
    values = np.array([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.1, 0.9, 0], [0.1, 0.9, 0], [0.9, 0.1, 0.0]])
    labels = np.array([0, 0, 1, 1, 2])
    assert suspects(values, labels, NAMES[:3]) == []
    twice = np.append(labels, 2)
    more = np.append(values, [[0.9, 0.1, 0.0]], axis=0)
    assert [e.place for e in suspects(more, twice, NAMES[:3])] == [4, 5]
    assert suspects(more, twice, NAMES[:3], np.array([0, 1, 2, 3, 4, 4])) == []


def test_changed_labels_come_first_on_classes_that_can_be_told_apart() -> None:
    generator = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], 60)
    features = np.eye(3, 16)[truth] * 8 + generator.normal(size=(180, 16))
    changed = generator.choice(180, 12, replace=False)
    labels = truth.copy()
    labels[changed] = (labels[changed] + generator.integers(1, 3, 12)) % 3
    listed = suspects(probed(features, labels, 3, [""] * 180, 1), labels, NAMES[:3])
    assert len(listed) > 9
    assert {each.place for each in listed} <= set(changed.tolist())
    assert all(each.suggested == NAMES[truth[each.place]] for each in listed)


def test_copies_with_the_same_wrong_label_do_not_vouch_for_each_other() -> None:
    generator = np.random.default_rng(4)
    truth = np.repeat([0, 1], 30)
    features = np.eye(2, 60)[truth] * 3 + generator.normal(size=(60, 60))
    features[:6], labels = features[0], truth.copy()
    labels[:6] = 1
    groups = ["same"] * 6 + [""] * 54
    alone = suspects(probed(features, labels, 2, [""] * 60, 1), labels, NAMES[:2])
    together = suspects(probed(features, labels, 2, groups, 1), labels, NAMES[:2])
    assert not {*range(6)} & {each.place for each in alone}
    assert {*range(6)} <= {each.place for each in together}


def suspect(place: int, suggested: str = "dog") -> Suspect:
    return Suspect(place, "cat", suggested, 0.97, 0.9)


def test_a_suspect_is_to_be_relabelled_unless_another_row_says_what_to_do() -> None:
    items = [Item(name, "cat") for name in "wxyz"]
    others = [Fix("x", "", DROP), Fix("y", "", GROUP, "w"), Fix("z", "", RELABEL, "cow")]
    fixes = suspect_fixes([suspect(place) for place in range(4)], items, others)
    assert [fix.suggestion for fix in fixes] == ["relabel to dog", "", "relabel to dog", ""]
    assert fixes[0].problem == "trainings that never saw it say dog with 0.97"


@pytest.mark.parametrize(("third", "said"), [("dog", RELABEL), ("cow", ""), (None, "")])
def test_copies_are_relabelled_together_or_left_to_a_person(third: str | None, said: str) -> None:
    found = [suspect(0), suspect(1), *([suspect(2, third)] if third else [])]
    fixes = suspect_fixes(found, [Item(name, "cat") for name in "xyz"], copies=[(0, 1, 2)])
    assert {fix.action for fix in fixes} == {said}


@pytest.fixture
def found(photos: Callable[..., Path]) -> Findings:
    """Of a set with copies, a conflict and a blank picture."""
    data = photos({"red": 8, "green": 8})
    for source, copy in (("red/000", "red/copy"), ("red/001", "green/conflict")):
        (data / f"{copy}.png").write_bytes((data / f"{source}.png").read_bytes())
    return check_data(data, DataOptions(), 1, Silent())


@pytest.mark.parametrize("seed", range(20))
def test_suggestions_with_suspects_can_be_followed(
    found: Findings, tmp_path: Path, seed: int
) -> None:
    places = [place for place, item in enumerate(found.items) if item.status == "ok"]
    values = np.random.default_rng(seed).dirichlet([0.3, 0.3], len(places))
    findings = with_suspects(found, places, values, ["green", "red"])
    assert len(findings.fixes) == len(found.fixes) + len(findings.suspects or ())
    write_fixes(tmp_path / "fixes.csv", findings.fixes)
    fixed = apply_fixes(findings.items, read_fixes(tmp_path / "fixes.csv"), tmp_path)
    told = findings.to_dict()["suspects"]
    assert [each["path"] for each in told] == [
        findings.items[each.place].path for each in findings.suspects or ()
    ]
    for same in findings.copies:  # no picture is taken out of agreement with its copies
        before = {findings.items[p].label for p in same.places}
        after = {fixed.items[p].label for p in same.places if fixed.items[p].status == "ok"}
        assert len(after) <= len(before)
