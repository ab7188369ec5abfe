from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Line, powers, thinned, ticks


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


def test_decades_are_equally_far_apart() -> None:
    chart = Chart("", "", "", [], "", right=10.0, left=1e-7, decades=True)
    assert (chart.x(1e-7), chart.x(1e-3), chart.x(10.0)) == (LEFT, (LEFT + RIGHT) / 2, RIGHT)
    assert [text for _, text in chart.across_ticks] == ["1e-07", "1e-05", "0.001", "0.1", "10"]


@given(st.floats(1e-9, 1e-3), st.floats(2.0, 1e7))
def test_powers_stay_on_the_axis(start: float, factor: float) -> None:
    marks = powers(start, start * factor)
    assert len(marks) <= 7
    assert all(start * 0.999 <= mark <= start * factor * 1.001 for mark in marks)
