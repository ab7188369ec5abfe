"""A folder of labelled images in; a classifier that its owner can trust, and the evidence, out.

    import finetune
    run = finetune.train("photos/", out="runs/first")
    run.metrics["accuracy"]
    run.predict(["new/1.jpg"])

Names are loaded when they are first used: ``import finetune`` alone loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.api import (
        Run,
        backbones,
        check,
        compare,
        cv,
        embed,
        evaluate,
        learning_curve,
        load_run,
        lr_find,
        predict,
        resume,
        stages,
        suggest,
        train,
    )
    from finetune.errors import FinetuneError
    from finetune.recipe.catalogue import catalogue
    from finetune.recipe.loading import load_recipe
    from finetune.recipe.schema import Recipe

__all__ = [
    "FinetuneError",
    "Recipe",
    "Run",
    "__version__",
    "backbones",
    "catalogue",
    "check",
    "compare",
    "cv",
    "embed",
    "evaluate",
    "learning_curve",
    "load_recipe",
    "load_run",
    "lr_find",
    "predict",
    "resume",
    "stages",
    "suggest",
    "train",
]

__version__ = "0.1.0"

_HOMES = {
    "FinetuneError": "finetune.errors",
    "Recipe": "finetune.recipe.schema",
    "Run": "finetune.api",
    "backbones": "finetune.api",
    "catalogue": "finetune.recipe.catalogue",
    "check": "finetune.api",
    "compare": "finetune.api",
    "cv": "finetune.api",
    "embed": "finetune.api",
    "evaluate": "finetune.api",
    "learning_curve": "finetune.api",
    "load_recipe": "finetune.recipe.loading",
    "load_run": "finetune.api",
    "lr_find": "finetune.api",
    "predict": "finetune.api",
    "resume": "finetune.api",
    "stages": "finetune.api",
    "suggest": "finetune.api",
    "train": "finetune.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'finetune' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
