"""A training that is tracked: each epoch once through an interruption, then the scores."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import finetune
from finetune.console import Silent, Task
from finetune.errors import RecipeError
from finetune.run import RunDirectory
from finetune.tracking import choosing
from finetune.tracking.tracker import Beginning, Ending, Epoch

OVERRIDES = [
    *("model.backbone=test_resnet", "input.size=32", "precision=float32", "data.workers=0"),
    *("phases.tune.epochs=2", "phases.tune.batch_size=8", "judge_folds=2"),
    "track=[tensorboard, mlflow]",
]


class Remote:
    """A tracker that keeps what it is told."""

    told: list[Epoch]
    ends: list[Ending | None]
    place = ""

    def __init__(self, run: RunDirectory) -> None:
        pass

    def start(self, beginning: Beginning, known: str) -> str:
        assert beginning.data == "photos"
        return "id-1"

    def log(self, epoch: Epoch) -> None:
        self.told.append(epoch)

    def finish(self, ending: Ending) -> None:
        self.ends.append(ending)

    def close(self) -> None:
        self.ends.append(None)


class Interrupting(Silent):
    """Presses Ctrl-C once, when the second epoch of the second fit begins."""

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Task]:
        yield InterruptingTask()


class InterruptingTask:
    def rename(self, title: str) -> None:
        if title == "fold-2 tune, epoch 2/2":
            signal.raise_signal(signal.SIGINT)

    def advance(self, count: int = 1, **scores: float) -> None:
        pass


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> type[Remote]:
    monkeypatch.setattr(Remote, "told", [], raising=False)
    monkeypatch.setattr(Remote, "ends", [], raising=False)
    monkeypatch.setitem(choosing.TRACKERS, "mlflow", Remote)
    monkeypatch.setattr(choosing, "find_spec", lambda name: name)
    return Remote


def train(data: Path, out: Path, reporter: Silent) -> finetune.Run:
    return finetune.train(
        data, "lp_ft", overrides=OVERRIDES, weights="none", out=out, reporter=reporter
    )


def test_each_epoch_is_tracked_once_through_an_interruption(
    photos: Callable[..., Path], tmp_path: Path, remote: type[Remote]
) -> None:
    data = photos({"red": 24, "green": 24}, noise=130)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "run", Interrupting())
    assert remote.ends == [None]
    run = finetune.resume(tmp_path / "run", reporter=Silent())
    (ending,) = [end for end in remote.ends if end]
    assert ending.scores["test_accuracy"] == run.metrics["accuracy"]["value"]
    assert [epoch.step for epoch in remote.told] == list(range(1, len(run.log) + 1))
    told = [(epoch.fit, epoch.phase, epoch.numbers["train_loss"]) for epoch in remote.told]
    assert told == list(zip(run.log["fit"], run.log["phase"], run.log["train_loss"], strict=True))

    state = run.path / "trackers.json"
    known = json.loads(state.read_text())
    assert known["mlflow"]["finished"], "TensorBoard has no run of its own"
    state.write_text(json.dumps({"mlflow": known["mlflow"] | {"rows": 2, "finished": False}}))
    finetune.resume(run.path, reporter=Silent())
    assert [epoch.step for epoch in remote.told[len(run.log) :]] == list(range(3, len(run.log) + 1))


def test_a_missing_package_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"pip install \"finetune-vision\[mlflow\]\""):
        train(tmp_path / "no such data", tmp_path / "run", Silent())
    assert not (tmp_path / "run").exists()
