"""The one place for what can be computed, unpacked or fetched again: safe to remove at any time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

PLACE = "FINETUNE_CACHE"
"""The environment variable that names another place."""


KINDS = {
    "features": "outputs of frozen networks, and decoded pictures",
    "looks": "what was found when each image was looked at",
    "archives": "archives, unpacked",
    "datasets": "images of saved datasets, as files",
}
"""What the cache holds, by the name of its folder. `clear` touches no other: where `PLACE` names a
folder with something else in it, that is somebody's own."""


def cache_folder(name: str) -> Path:
    """The folder for things of one of the `KINDS`, in `PLACE` or the platform's folder for caches.

    It is not made here: `make_private` does that, when something is first written to it.
    """
    if name not in KINDS:
        raise KeyError(f"{name} is none of the kinds of things that the cache holds")
    named = os.environ.get(PLACE)
    root = Path(named) if named else Path(platformdirs.user_cache_dir("finetune", False))
    return root / name


def kept_bytes(name: str) -> int:
    """Bytes of all files of one of the `KINDS`."""
    total = 0
    for parent, _, files in os.walk(cache_folder(name)):
        for file in files:
            total += _size(Path(parent, file))
    return total


def clear(name: str) -> int:
    """Remove all of one of the `KINDS`; how many bytes that freed."""
    before = kept_bytes(name)
    shutil.rmtree(cache_folder(name), ignore_errors=True)
    return before - kept_bytes(name)


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except OSError:  # removed a moment ago
        return 0


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
