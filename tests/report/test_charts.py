from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Line, thinned, ticks


@given(st.floats(1e-3, 1e6))
def test_ticks_are_few_and_stay_on_the_axis(end: float) -> None:
    marks = ticks(end)
    assert marks[0] == 0
    assert 2 <= len(marks) <= 6
    assert marks[-1] <= end * (1 + 1e-6)


@pytest.mark.parametrize(("end", "marks"), [(1, [0, 0.25, 0.5, 0.75, 1]), (8, [0, 2, 4, 6, 8])])
def test_ticks_are_round(end: float, marks: list[float]) -> None:
    assert ticks(end) == marks


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=1_000))
def test_a_line_keeps_its_ends_and_not_more_than_can_be_seen(points) -> None:
    kept = thinned(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert len(kept) == min(len(points), 200)


def test_coordinates_fill_the_area() -> None:
    line = Line("", "first", ((0, 0), (4, 2), (4, 9)))
    chart = Chart("", "", "", [line], "", right=4, top=2)
    assert chart.path(line) == f"M{LEFT} {BOTTOM}L{RIGHT} {TOP}L{RIGHT} {TOP}"
    assert chart.path(Line("", "first", ())) == ""
