from __future__ import annotations

import numpy as np

from finetune.data.manifest import Item
from finetune.evaluation.table import Prediction, PredictionTable
from finetune.report.doubts import OUT_OF_FOLD, doubts

TWO = ("cat", "dog")


def table(swapped: int) -> PredictionTable:
    """Forty images that are recognised, but for the first ones, whose label is another."""
    rows = []
    for number in range(40):
        seen, share = number % 2, 0.9 + number / 1_000
        shares = np.array([share, 1 - share])[[seen, 1 - seen]]
        label = TWO[1 - seen if number < swapped else seen]
        rows.append(Prediction(f"{number}.jpg", OUT_OF_FOLD, label, shares))
    return PredictionTable(tuple(rows), TWO, {})


def test_the_surest_comes_first_and_right_labels_are_left_alone() -> None:
    found = doubts(table(3), [])
    assert [answer.path for answer in found] == ["2.jpg", "1.jpg", "0.jpg"]
    assert (found[0].label, found[0].predicted) == ("dog", "cat")
    assert doubts(table(0), []) == []


def test_a_class_of_one_group_is_not_doubted() -> None:
    items = [Item(f"{n}.jpg", TWO[n % 2], group="one" if n % 2 else "") for n in range(40)]
    rows = [row for row in table(0).predictions if row.label == "cat"]
    rows += [Prediction(f"{n}.jpg", OUT_OF_FOLD, "dog", np.array([0.99, 0.01])) for n in (1, 3)]
    given = PredictionTable(tuple(rows), TWO, {})
    assert doubts(given, items) == []
    assert len(doubts(given, [])) == 2


def test_where_nothing_is_known_nothing_is_doubted() -> None:
    assert doubts(None, []) == []
    assert doubts(PredictionTable((), TWO, {}), []) == []
