"""A phase goes on in the middle of an epoch as if it had never been interrupted."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

import finetune
from finetune.console import Silent, Task
from finetune.errors import FinetuneError
from finetune.training.stopping import Terminated

# 34 training images: 9 batches of 4, the last of 2.
COUNTS = {"red": 25, "green": 24}
BASE = [
    *("model.backbone=test_resnet", "input.size=32", "precision=float32", "keep=last"),
    *("data.workers=0", "data.val=0.2", "data.test=0.1", "model.dropout=0.2", "store.use=false"),
    *("phases.tune.batch_size=4", "phases.tune.optimizer.lr=0.003", "evaluate.bootstrap=100"),
]
EPOCHS = ["phases.tune.epochs=2"]
ACCUMULATE = [*EPOCHS, "phases.tune.accumulate=2"]
STEPS = ["phases.tune.epochs=null", "phases.tune.steps=13"]
# 5 steps an epoch: 7 end after 4 batches of the second.
STEPS_OF_TWO = [*STEPS, "phases.tune.steps=7", "phases.tune.accumulate=2"]
STOPPING = ["phases.tune.epochs=4", "phases.tune.early_stopping={patience: 1, min_delta: 0.3}"]
NORM = [*EPOCHS, "phases.tune.batch_norm=train", "phases.tune.train=all"]
BALANCED = [
    *(*EPOCHS, "phases.tune.sampling=balanced", "phases.tune.epoch_images=34"),
    *("phases.tune.mixup=0.4", "phases.tune.ema={decay: 0.9}", "model.drop_path=0.2"),
    *("phases.tune.early_stopping={patience: 2, monitor: val_macro_f1}", "store.use=true"),
]
MEAN = [
    *(*NORM, "phases.tune.cutmix=1", "phases.tune.mixup=1"),
    "phases.tune.loss={class_weights: balanced}",
    "phases.tune.label_smoothing=0.1",
    "phases.tune.swa={epochs: 2}",
]
ANCHOR = [*ACCUMULATE, "phases.tune.batch_norm=train", "phases.tune.l2_sp=1"]
BESIDE = [*ACCUMULATE, "phases.tune.co_tuning=2"]
MIXED = [*STOPPING, "phases.tune.ema={decay: 0.9}", "phases.tune.interpolate=true"]
MIXED_NORM = [*NORM, "phases.tune.swa={epochs: 1}", "phases.tune.interpolate=true"]
WEIGHTS = "weights.safetensors"
"""Beside the recipe, for the options that want weights."""
KEPT = ["checkpoint.steps=1"]


class Killed(BaseException):
    """What stands here for the end of the process: nothing is written after it."""


@dataclass
class Watcher(Silent):
    """Does something once so many batches of the phase have passed."""

    after: int
    act: Callable[[], None]
    batches: int = 0
    told: list[str] = field(default_factory=list)

    def say(self, message: str) -> None:
        self.told.append(message)

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Task]:
        yield WatcherTask(self, title.startswith("tune"))


@dataclass
class WatcherTask:
    watcher: Watcher
    counts: bool
    begun: bool = False

    def rename(self, title: str) -> None:
        self.begun = True

    def advance(self, count: int = 1, **scores: float) -> None:
        if self.counts and self.begun and count:
            self.watcher.batches += 1
            if self.watcher.batches == self.watcher.after:
                self.watcher.act()


def kill() -> None:
    raise Killed


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def never(after: int = 0) -> Watcher:
    return Watcher(after, kill)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, write_photos: Callable[..., Path]) -> Path:
    return write_photos(tmp_path_factory.mktemp("data") / "photos", COUNTS, noise=130)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tune.yaml"
    path.write_text("extends: full_finetune\nphases: [{name: tune, train: last_1, epochs: 2}]\n")
    torch.manual_seed(1)
    save_file(timm.create_model("test_resnet").state_dict(), path.with_name(WEIGHTS))
    return path


Whole = Callable[[Sequence[str]], finetune.Run]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path, recipe: Path) -> Whole:
    """The uninterrupted run with some overrides; made once."""
    made: dict[tuple[str, ...], finetune.Run] = {}

    def run(overrides: Sequence[str]) -> finetune.Run:
        key = tuple(overrides)
        if key not in made:
            folder = tmp_path_factory.mktemp("whole") / "run"
            made[key] = train(data, recipe, folder, overrides, never())
        return made[key]

    return run


def train(
    data: Path, recipe: Path, out: Path, overrides: Sequence[str], reporter: Silent
) -> finetune.Run:
    weights = recipe.with_name(WEIGHTS) if set(BESIDE) <= set(overrides) else "none"
    return finetune.train(
        data, recipe, overrides=[*BASE, *overrides], weights=weights, out=out, reporter=reporter
    )


def same(resumed: finetune.Run, whole: finetune.Run) -> None:
    for name in ("predictions.csv", "metrics.json", "model/model.safetensors"):
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    assert resumed.log.drop(columns="seconds").equals(whole.log.drop(columns="seconds"))
    assert resumed.log.seconds.min() > 0
    first, second = (
        [{k: v for k, v in p.items() if k != "seconds"} for p in run.phases["phases"]]
        for run in (resumed, whole)
    )
    assert first == second


@pytest.mark.parametrize(
    ("overrides", "after"),
    [
        *((EPOCHS, after) for after in (1, 2, 5, 9, 10, 14, 18)),
        *((ACCUMULATE, after) for after in (1, 3, 4, 9, 10, 18)),
        *((STEPS, after) for after in (2, 9, 10, 12, 13)),
        *((STEPS_OF_TWO, after) for after in (3, 9, 13)),
        *((STOPPING, after) for after in (9, 15, 18)),
        *((NORM, after) for after in (3, 9)),
        *((BALANCED, after) for after in (4, 10, 18)),
        *((MEAN, after) for after in (4, 10, 18)),
        *((ANCHOR, after) for after in (4, 12)),
        *((BESIDE, after) for after in (4, 10, 18)),
        *((MIXED, after) for after in (4, 18)),
        *((MIXED_NORM, after) for after in (4, 18)),
    ],
    ids=lambda value: value if isinstance(value, int) else value[-1].split(".")[-1][:14],
)
def test_a_killed_run_goes_on_within_the_epoch(
    data: Path, recipe: Path, tmp_path: Path, whole: Whole, overrides: list[str], after: int
) -> None:
    with pytest.raises(Killed):
        train(data, recipe, tmp_path / "run", [*overrides, *KEPT], Watcher(after, kill))
    watcher = never()
    resumed = finetune.resume(tmp_path / "run", reporter=watcher)
    same(resumed, whole(overrides))
    every = 2 if "accumulate" in str(overrides) else 1
    kept = (after - 1) // 9 * 9 + (after - 1) % 9 // every * every
    assert watcher.batches == batches_of(whole(overrides)) - kept


def batches_of(run: finetune.Run) -> int:
    return 13 if run.log.step.iloc[-1] in (7, 13) else 9 * len(run.log)


@pytest.mark.parametrize("after", [1, 4, 9, 14])
def test_workers_go_on_where_the_epoch_was_left(
    data: Path, recipe: Path, tmp_path: Path, whole: Whole, after: int
) -> None:
    overrides = [*EPOCHS, *KEPT, "data.workers=2"]
    with pytest.raises(Killed):
        train(data, recipe, tmp_path / "run", overrides, Watcher(after, kill))
    same(finetune.resume(tmp_path / "run", reporter=Silent()), whole(EPOCHS))


@pytest.mark.parametrize("overrides", [ACCUMULATE, STOPPING], ids=["accumulate", "stopping"])
@pytest.mark.parametrize(("act", "kind"), [(press, KeyboardInterrupt), (terminate, Terminated)])
@pytest.mark.parametrize("after", [1, 6, 9, 11])
def test_a_signal_costs_no_step(
    data: Path,
    recipe: Path,
    tmp_path: Path,
    whole: Whole,
    overrides: list[str],
    act: Callable[[], None],
    kind: type[BaseException],
    after: int,
) -> None:
    watcher = Watcher(after, act)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(data, recipe, tmp_path / "run", overrides, watcher)
    assert stopped.type is kind
    again = never()
    same(finetune.resume(tmp_path / "run", reporter=again), whole(overrides))
    assert watcher.batches + again.batches == batches_of(whole(overrides))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_stay_until_the_step_is_done(
    data: Path, recipe: Path, tmp_path: Path, whole: Whole, number: int
) -> None:
    """A terminal's Ctrl-C and a batch system's SIGTERM reach them too."""

    def send() -> None:
        children = multiprocessing.active_children()
        assert len(children) == 2
        for child in children:
            assert child.pid is not None
            os.kill(child.pid, number)
        signal.raise_signal(number)

    watcher, again = Watcher(3, send), never()
    with pytest.raises(KeyboardInterrupt):
        train(data, recipe, tmp_path / "run", [*ACCUMULATE, "data.workers=2"], watcher)
    same(finetune.resume(tmp_path / "run", reporter=again), whole(ACCUMULATE))
    assert (watcher.batches, again.batches) == (4, 14)
    assert not multiprocessing.active_children()


def test_a_second_signal_is_not_kept_waiting(data: Path, recipe: Path, tmp_path: Path) -> None:
    """In the middle of an accumulation, where the first one has to wait for its end."""

    def twice() -> None:
        press()
        press()

    watcher = Watcher(2, twice)
    with pytest.raises(KeyboardInterrupt):
        train(data, recipe, tmp_path / "run", [*EPOCHS, "phases.tune.accumulate=9"], watcher)
    assert watcher.batches == 2


@pytest.mark.parametrize("overrides", [EPOCHS, MEAN], ids=["plain", "mean"])
def test_a_signal_in_validation_keeps_the_epoch(
    data: Path,
    recipe: Path,
    tmp_path: Path,
    whole: Whole,
    monkeypatch: pytest.MonkeyPatch,
    overrides: list[str],
) -> None:
    from finetune.training.setting import Setting

    logits = Setting.logits

    def pressed(self: Setting, *rest: object, **more: object) -> object:
        press()
        return logits(self, *rest, **more)

    monkeypatch.setattr(Setting, "logits", pressed)
    with pytest.raises(KeyboardInterrupt):
        train(data, recipe, tmp_path / "run", overrides, never())
    monkeypatch.undo()
    watcher = never()
    same(finetune.resume(tmp_path / "run", reporter=watcher), whole(overrides))
    assert watcher.batches == 9


@pytest.mark.parametrize("overrides", [MIXED, MIXED_NORM], ids=["frozen", "train"])
@pytest.mark.parametrize("after", [3, 11])
def test_a_kill_while_weights_are_mixed_changes_nothing(
    data: Path,
    recipe: Path,
    tmp_path: Path,
    whole: Whole,
    monkeypatch: pytest.MonkeyPatch,
    overrides: list[str],
    after: int,
) -> None:
    """The last one stands for a kill between the choice and the phase's record."""
    from finetune.training import interpolating

    scored = 0

    def killing(*given: object) -> object:
        nonlocal scored
        scored += 1
        if scored == after:
            raise Killed
        return scores(*given)

    scores = interpolating.epoch_scores
    monkeypatch.setattr(interpolating, "epoch_scores", killing)
    with pytest.raises(Killed):
        train(data, recipe, tmp_path / "run", overrides, never())
    monkeypatch.undo()
    same(finetune.resume(tmp_path / "run", reporter=never()), whole(overrides))


def test_an_interrupted_run_is_interrupted_again(
    data: Path, recipe: Path, tmp_path: Path, whole: Whole
) -> None:
    with pytest.raises(Killed):
        train(data, recipe, tmp_path / "run", [*ACCUMULATE, *KEPT], Watcher(4, kill))
    for act, after in ((press, 3), (kill, 2), (kill, 3), (press, 1)):
        with pytest.raises((Killed, KeyboardInterrupt)):
            finetune.resume(tmp_path / "run", reporter=Watcher(after, act))
    same(finetune.resume(tmp_path / "run", reporter=Silent()), whole(ACCUMULATE))


def test_the_clock_asks_for_checkpoints_too(data: Path, recipe: Path, tmp_path: Path) -> None:
    def kept_after_a_kill(minutes: float) -> bool:
        run = tmp_path / str(minutes)
        with pytest.raises(Killed):
            train(data, recipe, run, [f"checkpoint.minutes={minutes}"], Watcher(3, kill))
        return any((run / "checkpoints").rglob("last.ckpt"))

    assert kept_after_a_kill(1e-6)
    assert not kept_after_a_kill(60)


def test_the_parts_of_a_batch_are_kept(
    data: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where BatchNorm learns, a batch in parts is another one: the parts must stay."""
    from finetune.training.stepping import Stepper

    passing, roomy = Stepper._pass, True

    def cramped(self: Stepper, batch: object, images: int, place: tuple[object, ...]) -> object:
        if not roomy and self.most > 2 and (place == ("estimate",) or place[-2:] >= (0, 2)):
            raise MemoryError
        return passing(self, batch, images, place)  # type: ignore[arg-type]

    monkeypatch.setattr(Stepper, "_pass", cramped)
    roomy = False
    watcher = never()
    whole = train(data, recipe, tmp_path / "whole", NORM, watcher)
    assert [line for line in watcher.told if "2 parts of 2" in line]
    with pytest.raises(Killed):
        train(data, recipe, tmp_path / "run", [*NORM, *KEPT], Watcher(6, kill))
    roomy = True  # other work has left the memory
    same(finetune.resume(tmp_path / "run", reporter=Silent()), whole)


def test_a_checkpoint_holds_what_the_phase_moves(data: Path, recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(data, recipe, tmp_path / "run", KEPT, Watcher(3, kill))
    (path,) = (tmp_path / "run" / "checkpoints").rglob("last.ckpt")
    state = torch.load(path, weights_only=True)
    names = {name.split(".")[0] for name in state["weights"]}
    assert names == {"layer4", "fc"}
    assert state["place"]["step"] == 2


def test_the_options_are_checked(data: Path, recipe: Path, tmp_path: Path) -> None:
    for wrong in ("checkpoint.minutes=0", "checkpoint.steps=0", "checkpoint.seconds=3"):
        with pytest.raises(FinetuneError, match="checkpoint"):
            train(data, recipe, tmp_path / "run", [wrong], never())
