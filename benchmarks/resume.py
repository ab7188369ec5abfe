"""Trainings killed at random moments and gone on with: do they end as uninterrupted ones?

python benchmarks/resume.py --out benchmarks/results/resume.md

Each run is the command line in a process of its own, forked from this one, which has imported all
that takes long. It is killed by SIGKILL at a moment drawn uniformly over the time that the whole
run takes, some runs a second time after they were gone on with. Then `--resume` is given until the
run is complete, or the first command where it had not begun, and `model.safetensors` and
`predictions.csv` are compared byte by byte with those of an uninterrupted run. Linux only.
"""

from __future__ import annotations

import argparse
import multiprocessing.util
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import albumentations  # noqa: F401  # here and below: before the forks, each would take seconds
import lightning.pytorch  # noqa: F401
import numpy as np
import timm
import torch
import torch.utils.tensorboard
from PIL import Image
from safetensors.torch import save_file

import finetune.api
import finetune.cli.app
import finetune.training.fit  # noqa: F401
from finetune.cli import main as command_line
from finetune.environment import describe_machine
from finetune.run import RunDirectory

BACKBONE = "test_resnet"
COMPARED = ("model/model.safetensors", "predictions.csv")
COMMON = """
extends: full_finetune
model: {dropout: 0.2}
input: {size: 32}
precision: float32
evaluate: {bootstrap: 200}
checkpoint: {steps: 3}
"""
RECIPES = {
    "solver, all; fold fits; early stopping": """
keep: best
data: {workers: 0}
phases:
  - {name: probe, train: head, solver: lbfgs}
  - {name: tune, train: all, epochs: 4, batch_size: 8, early_stopping: {patience: 2}}
""",
    "head by gradient, last stages with accumulation": """
keep: last
data: {workers: 0}
phases:
  - {name: head, train: head, epochs: 6, batch_size: 8, optimizer: {lr: 0.01}}
  - {name: last, train: last_2, epochs: 6, batch_size: 4, accumulate: 3}
""",
    "steps, BatchNorm learns; two workers": """
keep: last
data: {workers: 2}
phases:
  - {name: tune, train: all, steps: 100, batch_size: 8, batch_norm: train, clip_norm: 0.5}
""",
    "gradual, early stopping, SGD": """
keep: best
data: {workers: 0, val: 0.3}
judge_folds: 2
phases:
  - {name: head, train: head, epochs: 8, batch_size: 8, early_stopping: {patience: 2}}
  - name: all
    train: all
    epochs: 5
    batch_size: 8
    accumulate: 2
    optimizer: {name: sgd, lr: 0.01}
    early_stopping: {patience: 1}
""",
}


@dataclass(frozen=True)
class Place:
    """Where a run and what belongs to it lies."""

    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def told(self) -> Path:
        return self.folder / "told.txt"


@dataclass(frozen=True)
class Outcome:
    """A run that was killed and gone on with."""

    found: list[str]
    same: bool
    orphans: float


def write_pictures(folder: Path, each: int = 30) -> None:
    generator = np.random.default_rng(5)
    for name, hue in {"red": (190, 80, 80), "green": (80, 180, 90), "blue": (80, 90, 190)}.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = np.array(hue) + generator.normal(0, 110, (40, 44, 3))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / name / f"{number:03}.png")


def write_weights(path: Path) -> None:
    torch.manual_seed(3)
    save_file(timm.create_model(BACKBONE, num_classes=1000).state_dict(), path)


def forked(work: object, place: Place | None = None) -> int:
    """The process id of a child that does ``work``, which must be callable."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if place is not None:
            _at(place)
        code = _status(work)
    finally:
        multiprocessing.util._exit_function()
        os._exit(code)


def _at(place: Place) -> None:
    place.folder.mkdir(parents=True, exist_ok=True)
    told = os.open(place.told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(told, 1)
    os.dup2(told, 2)
    os.environ["FINETUNE_CACHE"] = str(place.cache)


def _status(work: object) -> int:
    assert callable(work)
    try:
        work()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        return int(ended.code or 0)
    return 0


def started(arguments: list[str], place: Place) -> int:
    """The process id of a child that runs the command line."""

    def work() -> None:
        sys.argv = ["finetune", *arguments]
        command_line()

    return forked(work, place)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed(pid: int, after: float) -> tuple[bool, list[int]]:
    """Whether the process still ran after so many seconds, when it was killed; its children."""
    until = time.monotonic() + after
    while (left := until - time.monotonic()) > 0:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False, []
        time.sleep(min(left, 0.01))
    children = _children(pid)
    os.kill(pid, signal.SIGKILL)
    return ended(pid) == -signal.SIGKILL, children


def _children(pid: int) -> list[int]:
    running = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [child for child in running if _parent(child) == pid]


def _parent(pid: int) -> int | None:
    """Whose child a process is; None where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[1])


def until_gone(pids: list[int]) -> float:
    """Seconds until the last of the processes has ended by itself."""
    begun = time.monotonic()
    while any(_parent(pid) is not None for pid in pids):
        time.sleep(0.05)
        if time.monotonic() - begun > 60:
            raise SystemExit(f"workers outlive their parent: {pids}")
    return time.monotonic() - begun if pids else 0.0


def found_in(run: Path) -> str:
    """How far a killed run had come, by what it left."""
    directory = RunDirectory(run)
    if not directory.environment.is_file():
        return "before it began"
    if directory.phases.is_file():
        return "while the classifier was saved or scored"
    kept = list(directory.checkpoints.rglob("last.ckpt"))
    if not kept:
        return "between phases, solving, or before a first checkpoint"
    newest = max(kept, key=lambda path: path.stat().st_mtime)
    place = torch.load(newest, weights_only=True)["place"]
    fit = "main fit" if newest.parent.parent.name == "main" else "fold fit"
    return f"{fit}, {'within' if place['batch'] else 'after'} an epoch"


def completed(train: list[str], place: Place) -> None:
    """Go on with a run until it is complete; where it had not begun, begin it."""
    status = ended(started(["train", "--resume", str(place.run)], place))
    if status == 2:
        status = ended(started(train, place))
    if status:
        raise SystemExit(f"status {status}: {place.told.read_text()[-3000:]}")


def interrupted(
    train: list[str], place: Place, seconds: float, twice: bool, chance: random.Random
) -> tuple[list[str], float]:
    """Kill a run once or twice at random moments; what it left each time, and its orphans' life."""
    found, orphans = [], 0.0
    command = train
    for _ in range(2 if twice else 1):
        was, children = killed(started(command, place), chance.uniform(0, seconds))
        if was:
            found.append(found_in(place.run))
            if not twice:  # else the next process works beside them
                orphans = max(orphans, until_gone(children))
        begun = RunDirectory(place.run).environment.is_file()
        command = ["train", "--resume", str(place.run)] if begun else train
    return found, orphans


def kinds(folder: Path, kills: int, seed: int) -> dict[str, tuple[float, list[Outcome]]]:
    """For each recipe: the seconds of its whole run, and its killed ones."""
    photos, weights = folder / "photos", folder / "weights.safetensors"
    write_pictures(photos)
    assert ended(forked(lambda: write_weights(weights))) == 0
    results: dict[str, tuple[float, list[Outcome]]] = {}
    for number, (title, text) in enumerate(RECIPES.items()):
        recipe = folder / f"recipe{number}.yaml"
        recipe.write_text(COMMON + text)

        def command(place: Place, recipe: Path = recipe) -> list[str]:
            given = ["--recipe", str(recipe), "--weights", str(weights), "--out", str(place.run)]
            backbone = ["--set", f"model.backbone={BACKBONE}"]
            return ["train", str(photos), *given, *backbone]

        whole = Place(folder / f"{number}-whole")
        begun = time.monotonic()
        if ended(started(command(whole), whole)):
            raise SystemExit(whole.told.read_text()[-3000:])
        seconds = time.monotonic() - begun
        print(f"{title}: {seconds:.1f} s", flush=True)
        chance = random.Random(seed * 100 + number)
        outcomes: list[Outcome] = []
        while sum(len(outcome.found) for outcome in outcomes) < kills:
            place = Place(folder / f"{number}-{len(outcomes)}")
            twice = len(outcomes) % 3 == 2
            found, orphans = interrupted(command(place), place, seconds, twice, chance)
            if not found:  # it was done already
                continue
            completed(command(place), place)
            outcomes.append(Outcome(found, _same(place.run, whole.run), orphans))
            print(f"  {'; '.join(found)}: {'same' if outcomes[-1].same else 'OTHER'}", flush=True)
        results[title] = seconds, outcomes
    return results


def _same(run: Path, whole: Path) -> bool:
    return all((run / name).read_bytes() == (whole / name).read_bytes() for name in COMPARED)


def page(results: dict[str, tuple[float, list[Outcome]]], seed: int) -> str:
    machine = describe_machine()
    lines = [
        f"<!-- {machine['processor']}, {machine['cores']} cores, torch {torch.__version__}; "
        f"seed {seed} -->",
        "Trainings killed by SIGKILL at random moments and gone on with; the model and the "
        "predictions compared byte by byte with an uninterrupted run's.",
        "",
        "| phases | whole run | kills | runs | killed twice | the same |",
        "|---|---|---|---|---|---|",
    ]
    found: Counter[str] = Counter()
    for title, (seconds, outcomes) in results.items():
        kills = sum(len(outcome.found) for outcome in outcomes)
        twice = sum(len(outcome.found) == 2 for outcome in outcomes)
        same = sum(outcome.same for outcome in outcomes)
        lines.append(
            f"| {title} | {seconds:.1f} s | {kills} | {len(outcomes)} | {twice} | "
            f"{same} of {len(outcomes)} |"
        )
        found.update(place for outcome in outcomes for place in outcome.found)
    lines += ["", "| what a kill left | kills |", "|---|---|"]
    lines += [f"| {place} | {count} |" for place, count in sorted(found.items())]
    longest = max(outcome.orphans for _, outcomes in results.values() for outcome in outcomes)
    lines += ["", f"Workers of a killed process were gone after {longest:.1f} s at most."]
    return "\n".join(lines) + "\n"


def main() -> NoReturn:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="kills a recipe, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = kinds(Path(folder), options.kills, options.seed)
    text = page(results, options.seed)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    sys.exit(any(not o.same for _, outcomes in results.values() for o in outcomes))


if __name__ == "__main__":
    main()
