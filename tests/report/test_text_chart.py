from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune.report.charts import Chart, Line
from finetune.report.text_chart import text_chart

POINTS = st.lists(st.tuples(st.floats(1e-6, 10.0), st.floats(0.0, 99.0)), min_size=1)


def drawn(points: list[tuple[float, float]]) -> list[str]:
    line = Line("", "first", points)
    return text_chart(Chart("t", "rate", "loss", [line], "", 10.0, 2.0, left=1e-6, decades=True), 0)


@given(POINTS)
def test_a_chart_is_as_large_whatever_it_shows(points: list[tuple[float, float]]) -> None:
    lines = drawn(points)
    assert len(lines) == 1 + 14 + 2
    assert max(map(len, lines)) < 80
    assert 1 <= "\n".join(lines).count("*") <= len(points)


def test_what_rises_rises() -> None:
    first, *rows = drawn([(1e-6, 0.0), (10.0, 2.0)])
    assert first == "loss by rate"
    assert rows[0].rstrip().endswith("*")
    assert rows[13].split("|")[1].startswith("*")
    assert rows[-1].split() == ["1e-06", "0.0001", "0.01", "1"]
