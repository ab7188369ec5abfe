"""The one place for what can be computed, unpacked or fetched again: safe to remove at any time."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

PLACE = "FINETUNE_CACHE"
"""The environment variable that names another place."""


def cache_folder(name: str) -> Path:
    """The folder for things of one kind, in `PLACE` or in the platform's folder for caches.

    It is not made here: `make_private` does that, when something is first written to it.
    """
    named = os.environ.get(PLACE)
    root = Path(named) if named else Path(platformdirs.user_cache_dir("finetune", False))
    return root / name


def make_private(folder: Path) -> Path:
    """Make ``folder``, and those above it that are missing, for its owner alone; give it back."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def nearest_existing(folder: Path) -> Path:
    """``folder``, or the nearest above it that there is."""
    # os.path's, as Path.exists raises where a folder above may not be looked into.
    return next(f for f in (folder, *folder.parents) if os.path.exists(f))  # noqa: PTH110
