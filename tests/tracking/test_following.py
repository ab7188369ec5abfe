"""Trackers get each row once, in order, and take nothing from a training."""

from __future__ import annotations

import pytest

from finetune.console import Silent
from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.tracking import following as module
from finetune.tracking.choosing import TRACKERS, check_installed
from finetune.tracking.following import Trackers, following, reached
from finetune.tracking.tracker import Beginning, Ending, Epoch

Rows = list[dict[str, str]]


class Remote:
    """A tracker that keeps what it is told, and fails at the steps that it is told to."""

    told: list[str]
    fails: set[str]
    place = "somewhere"

    def __init__(self, run: RunDirectory) -> None:
        pass

    def start(self, beginning: Beginning, known: str) -> str:
        self._take(f"start {known}".strip())
        return "id-1"

    def log(self, epoch: Epoch) -> None:
        self._take(f"row {epoch.step}")

    def finish(self, ending: Ending) -> None:
        self._take("finish")

    def close(self) -> None:
        self._take("close")

    def _take(self, what: str) -> None:
        if what in self.fails:
            raise ConnectionError("https://me:hidden@host is gone\nand more")
        self.told.append(what)


class Listening(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> type[Remote]:
    monkeypatch.setattr(Remote, "told", [], raising=False)
    monkeypatch.setattr(Remote, "fails", set(), raising=False)
    monkeypatch.setitem(module.TRACKERS, "mlflow", Remote)
    return Remote


@pytest.fixture
def tracked(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"track": ["mlflow"]})


def test_rows_come_once_and_in_order_through_an_interruption(
    remote: type[Remote], tracked: Recipe, complete: RunDirectory, rows: Rows
) -> None:
    with following(complete, tracked, Silent()) as trackers:
        for length in (1, 2, 3):
            trackers.follow(rows[:length])
    with following(complete, tracked, Silent()) as trackers:
        trackers.follow(rows[:3])
        for length in (2, 3, 4):  # the third epoch is done again
            trackers.follow(rows[:length])
        trackers.finish()
    steps = [f"row {step}" for step in (1, 2, 3)]
    assert remote.told == ["start", *steps, "close", "start id-1", "row 4", "finish"]
    assert reached(complete)["mlflow"].finished


@pytest.mark.parametrize("fails", ["start", "row 2", "finish"])
def test_what_fails_is_told_once_and_sent_later(
    remote: type[Remote], tracked: Recipe, complete: RunDirectory, rows: Rows, fails: str
) -> None:
    reporter = Listening()
    remote.fails.add(fails)
    with following(complete, tracked, reporter) as trackers:
        for length in range(1, len(rows) + 1):
            trackers.follow(rows[:length])
        trackers.finish()
    (warning,) = reporter.warnings
    assert "mlflow does not follow" in warning
    assert "hidden" not in warning
    assert "--resume" in warning
    remote.fails.clear()
    late = Trackers(complete, tracked, reporter)
    assert late.unfinished == ["mlflow"]
    late.start(late.unfinished)
    late.follow(rows)
    late.finish()
    assert [told for told in remote.told if told.startswith("row")] == [
        f"row {step}" for step in range(1, len(rows) + 1)
    ]
    assert Trackers(complete, tracked, reporter).unfinished == []


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.tracking.choosing.find_spec", lambda name: None)
    assert check_installed(["tensorboard"]) == []
    (fault,) = check_installed(["tensorboard", "wandb"])
    assert 'pip install "finetune-vision[wandb]"' in fault


def test_each_name_of_the_recipe_has_its_tracker() -> None:
    names = Recipe.model_json_schema()["properties"]["track"]["items"]["enum"]
    assert sorted(names) == sorted(TRACKERS)
