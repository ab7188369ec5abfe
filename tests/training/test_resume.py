"""Interrupted runs end as uninterrupted ones do, bit for bit."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
from PIL import Image

import finetune
from finetune import cache
from finetune.console import Silent, Task
from finetune.data.manifest import read_manifest
from finetune.errors import RunError
from finetune.locking import locked
from finetune.model.weights import choose_weights
from finetune.recipe.loading import load_recipe
from finetune.run import RunDirectory

OVERRIDES = [
    *("model.backbone=test_resnet", "input.size=32", "precision=float32", "data.workers=0"),
    *("model.dropout=0.2", "phases.tune.epochs=3", "phases.tune.batch_size=8"),
    *("phases.tune.early_stopping={patience: 1}", "phases.tune.optimizer.lr=0.003"),
]


class Interrupting(Silent):
    """Presses Ctrl-C, or sends another signal, once so many images have been trained on."""

    def __init__(self, after: int, number: int = signal.SIGINT) -> None:
        self.left = after
        self.number = number

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Task]:
        yield InterruptingTask(self, title)


class InterruptingTask:
    def __init__(self, reporter: Interrupting, title: str) -> None:
        self.reporter = reporter
        self.counts = title.endswith("tune")

    def rename(self, title: str) -> None:
        pass

    def advance(self, count: int = 1, **scores: float) -> None:
        if self.counts:
            self.reporter.left -= count
            if self.reporter.left < 0:
                self.reporter.left = 10**9
                signal.raise_signal(self.reporter.number)


@pytest.fixture
def data(photos: Callable[..., Path]) -> Path:
    return photos({"red": 24, "green": 24}, noise=130)


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, write_photos: Callable[..., Path]
) -> finetune.Run:
    folder = tmp_path_factory.mktemp("whole")
    data = write_photos(folder / "photos", {"red": 24, "green": 24}, noise=130)
    return train(data, folder / "run", Silent())


def train(data: Path, out: Path, reporter: Silent) -> finetune.Run:
    return finetune.train(
        data, "lp_ft", overrides=OVERRIDES, weights="none", out=out, reporter=reporter
    )


def outcome(run: Path) -> dict[str, bytes]:
    names = ["predictions.csv", "metrics.json", "model/model.safetensors"]
    return {name: (run / name).read_bytes() for name in names}


# Images trained on: 3 folds of 22 or 23, then 34; up to three epochs each.
@pytest.mark.parametrize("after", [10, 60, 110, 150])
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    data: Path, tmp_path: Path, whole: finetune.Run, after: int
) -> None:
    number = signal.SIGTERM if after == 60 else signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "broken", Interrupting(after, number))
    assert not (tmp_path / "broken" / "metrics.json").exists()
    resumed = finetune.resume(tmp_path / "broken", reporter=Silent())
    assert outcome(resumed.path) == outcome(whole.path)
    columns = ["fit", "phase", "epoch", "step", "lr", "train_loss", "val_log_loss"]
    assert resumed.log[columns].equals(whole.log[columns])
    assert audit(resumed) == audit(whole)


def audit(run: finetune.Run) -> list[dict[str, object]]:
    return [
        {key: value for key, value in phase.items() if key != "seconds"}
        for phase in run.phases["phases"]
    ]


def test_a_complete_run_has_nothing_to_resume(whole: finetune.Run) -> None:
    before = outcome(whole.path)
    assert finetune.resume(whole.path, reporter=Silent()).path == whole.path
    assert outcome(whole.path) == before


def test_changed_data_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "run", Interrupting(10))
    Image.new("RGB", (40, 40)).save(data / "red" / "003.png")
    (data / "green" / "001.png").unlink()
    with pytest.raises(RunError, match=r"green/001.png.*red/003.png \(other bytes\)"):
        finetune.resume(tmp_path / "run", reporter=Silent())


def test_data_may_have_been_moved(data: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "run", Interrupting(10))
    moved = data.rename(tmp_path / "moved")
    with pytest.raises(RunError, match="--resume RUN DATA"):
        finetune.resume(tmp_path / "run", reporter=Silent())
    assert finetune.resume(tmp_path / "run", moved, reporter=Silent()).metrics["n"] > 0


def test_an_archive_is_unpacked_again(
    data: Path, tmp_path: Path, whole: finetune.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cleared or elsewhere: the cache is none of what a run needs."""
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path, data.name))
    with pytest.raises(KeyboardInterrupt):
        train(packed, tmp_path / "run", Interrupting(60))
    monkeypatch.chdir(tmp_path / "run")
    for name in ("archives", "features"):
        cache.clear(name)
    with pytest.raises(KeyboardInterrupt):
        finetune.resume(tmp_path / "run", reporter=Interrupting(10))
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "other"))
    cache.clear("archives")
    moved = packed.rename(tmp_path / "moved.tar.gz")
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(RunError, match="--resume RUN DATA"):
        finetune.resume(tmp_path / "run", reporter=Silent())
    resumed = finetune.resume(tmp_path / "run", moved, reporter=Silent())
    assert outcome(resumed.path) == outcome(whole.path)


def test_what_an_archive_was_unpacked_to_outlives_it(data: Path, tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", data))
    with pytest.raises(KeyboardInterrupt):
        train(packed, tmp_path / "run", Interrupting(10))
    packed.unlink()
    assert finetune.resume(tmp_path / "run", reporter=Silent()).metrics["n"] > 0


def test_an_archive_that_is_another_now_is_refused(data: Path, tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", data))
    with pytest.raises(KeyboardInterrupt):
        train(packed, tmp_path / "run", Interrupting(10))
    (data / "red" / "003.png").unlink()
    shutil.make_archive(str(tmp_path / "packed"), "zip", data)
    with pytest.raises(RunError, match=r"red/003\.png \(no such file\)"):
        finetune.resume(tmp_path / "run", reporter=Silent())


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_absolute_paths_may_lie_anywhere(
    data: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(data.rglob("*.png"))
    labels = pd.Categorical([path.parent.name for path in paths])
    frame = pd.DataFrame({"path": [str(path) for path in paths], "label": labels})
    table = tmp_path / f"list.{suffix}"
    frame.to_csv(table, index=False) if suffix == "csv" else frame.to_parquet(table)
    with pytest.raises(KeyboardInterrupt):
        train(table, tmp_path / "run", Interrupting(10))
    monkeypatch.chdir("/")
    (tmp_path / "tables").mkdir()
    moved = table.rename(tmp_path / "tables" / table.name)
    run = finetune.resume(tmp_path / "run", moved, reporter=Silent())
    manifest = read_manifest(tmp_path / "run" / "data.csv", Path("/nowhere"))
    assert [manifest.file(item) for item in manifest.items] == paths
    frame = run.predict([str(paths[0])], reporter=Silent())
    assert list(frame["path"]) == [str(paths[0])]


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"environment\.json"):
        finetune.resume(tmp_path, reporter=Silent())


def test_what_was_killed_before_it_began_is_begun_again(data: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.write_text(run.lock, "process 1 on another")
    run.write_text(run.recipe, "half of a beginn")
    with pytest.raises(RunError, match="command that began it"):
        finetune.resume(run.path, reporter=Silent())
    with pytest.raises(KeyboardInterrupt):
        train(data, run.path, Interrupting(10))
    assert not run.lock.exists()
    with locked(run.lock), pytest.raises(RunError, match="at work in it"):
        finetune.resume(run.path, reporter=Silent())
    left = run.checkpoints / "main" / ".last.ckpt.abc.part"
    run.write_text(left, "half a checkpoint")
    with pytest.raises(KeyboardInterrupt):
        finetune.resume(run.path, reporter=Interrupting(10))
    assert not left.exists()


def test_two_trainings_do_not_share_a_place(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (
        locked(tmp_path / "run" / ".lock"),
        pytest.raises(RunError, match="at work in it"),
    ):
        train(data, tmp_path / "run", Silent())


def test_the_backbone_that_was_asked_for_stands_over_the_weights_file(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tag says how pictures become inputs, and the file may name none, or another."""
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "run", Interrupting(10))
    asked = Mock(side_effect=choose_weights)
    monkeypatch.setattr("finetune.api.training.choose_weights", asked)
    run = finetune.resume(tmp_path / "run", reporter=Silent())
    (_, weights, backbone), _ = asked.call_args
    recipe = load_recipe(run.directory.recipe)
    assert (weights, backbone) == ("none", recipe.model.backbone)
