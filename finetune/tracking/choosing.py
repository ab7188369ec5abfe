"""Which trackers there are, and what they want installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from finetune.run import RunDirectory
from finetune.tracking.mlflow_runs import MLflowRun
from finetune.tracking.tensorboard_events import TensorBoardEvents
from finetune.tracking.tracker import Tracker
from finetune.tracking.wandb_runs import WandbRun

TRACKERS: dict[str, Callable[[RunDirectory], Tracker]] = {
    "tensorboard": TensorBoardEvents,
    "mlflow": MLflowRun,
    "wandb": WandbRun,
}
"""By the names that a recipe's ``track`` has for them."""

_WANTED = {"mlflow": ("mlflow", "sqlalchemy", "alembic"), "wandb": ("wandb",)}
"""Modules of a tracker's extra; `finetune` itself brings those of TensorBoard."""


def check_installed(names: Sequence[str]) -> list[str]:
    """A fault for each tracker whose packages are not all there."""
    faults = []
    for name in names:
        missing = [module for module in _WANTED.get(name, ()) if find_spec(module) is None]
        if missing:
            faults.append(
                f"track: {name} wants {' and '.join(missing)}, not installed here; "
                f'pip install "finetune-vision[{name}]"'
            )
    return faults
