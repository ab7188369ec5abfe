from __future__ import annotations

import io

import pytest
from rich.console import Console as RichConsole

from finetune.console import Console, Silent, _PlainTask, automatic


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    return Console(RichConsole(file=screen, force_terminal=terminal, width=80)), screen


def test_a_log_that_is_no_terminal_gets_one_plain_line_for_short_work() -> None:
    reporter, screen = console(terminal=False)
    with reporter.task("tune", 10, "images") as task:
        for _ in range(5):
            task.advance(2)
        task.advance(0, val_accuracy=0.5)
    (line,) = screen.getvalue().splitlines()
    assert line.startswith("tune: 10/10 images, ")
    assert line.endswith("val accuracy 0.500")
    assert "\x1b" not in line


def test_a_terminal_gets_a_bar_with_a_rate() -> None:
    reporter, screen = console(terminal=True)
    with reporter.task("tune", 10, "images") as task:
        task.advance(10, loss=0.25)
    assert "10/10" in screen.getvalue()
    assert "loss 0.250" in screen.getvalue()


def test_hostile_names_do_no_harm() -> None:
    reporter, screen = console(terminal=True)
    reporter.say("[red]a[/red]\x1b[2J[/]")
    reporter.warn("b\x07\udcff")
    reporter.table("t[/]", ["[bold]class"], [["c\x1b]0;x\x07"]])
    shown = screen.getvalue()
    assert "[red]a[/red]" in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "[bold]class" in shown


def test_silence_is_silent(capsys: object) -> None:
    reporter = Silent()
    reporter.say("a")
    reporter.warn("b")
    reporter.table("t", ["a"], [["b"]])
    with reporter.task("t", 1, "images") as task:
        task.advance(loss=1.0)
    assert capsys.readouterr() == ("", "")  # type: ignore[attr-defined]


def test_nothing_is_shown_where_nobody_looks() -> None:
    assert isinstance(automatic(), Silent)


def test_work_of_another_time_is_no_part_of_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter, screen = console(terminal=False)
    task = _PlainTask(reporter, "tune", 10_000, "images", 9_000, 9_000, started=0.0, told=0.0)
    monkeypatch.setattr("finetune.console.time.monotonic", lambda: 50.0)
    task.advance(100)
    assert screen.getvalue().startswith("tune: 9,100/10,000 images, 2")
    assert screen.getvalue().endswith(" a second, 8 min left\n")
