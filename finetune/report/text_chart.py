"""A chart in plain characters, for a terminal or a log."""

from __future__ import annotations

from finetune.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart

_WIDE, _HIGH = 64, 14
_MARGIN = 8


def text_chart(chart: Chart, line: int) -> list[str]:
    """The line at that place among the chart's, as ``*``, with marks on both axes."""
    rows = [[" "] * _WIDE for _ in range(_HIGH)]
    for x, y in chart.lines[line].points:
        rows[_row(chart.y(y))][_column(chart.x(x))] = "*"
    marks = {_row(at): text for at, text in chart.up_ticks}
    drawn = [
        f"{marks.get(number, ''):>{_MARGIN - 2}} |{''.join(row)}".rstrip()
        for number, row in enumerate(rows)
    ]
    foot = " " * (_MARGIN - 1) + "+" + "-" * _WIDE
    return [f"{chart.up} by {chart.across}", *drawn, foot, _ticks(chart)]


def _row(y: float) -> int:
    return round((y - TOP) / (BOTTOM - TOP) * (_HIGH - 1))


def _column(x: float) -> int:
    return round((x - LEFT) / (RIGHT - LEFT) * (_WIDE - 1))


def _ticks(chart: Chart) -> str:
    """Marks below the axis; one that would touch the one before it is left out."""
    line = ""
    for at, text in chart.across_ticks:
        start = _MARGIN + _column(at) - len(text) // 2
        if start > len(line):
            line += " " * (start - len(line)) + text
    return line
