"""``finetune cache``: what was computed or unpacked once and is kept."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from finetune.text import duration, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from finetune.features.segments import Segment

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_() -> None:
    """List what is kept, with its bytes; features by their network, and when they were used."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from finetune.features.store import FeatureStore

    store = FeatureStore.usual()
    shelves: dict[Path, list[Segment]] = defaultdict(list)
    for segment in store.segments():
        shelves[segment.folder.parent].append(segment)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("network", "pixels", "numbers", "MiB", "last used"):
        table.add_column(name, justify="left" if name == "network" else "right")
    now = time.time()
    for folder, segments in shelves.items():
        about = _about(folder)
        size = sum(segment.size() for segment in segments) / 2**20
        ago = duration(now - max(segment.used() for segment in segments))
        table.add_row(*(Text(printable(str(value))) for value in _named(about)), f"{size:.1f}", ago)
    console = _stdout()
    console.print(f"{store.root}: {store.size() / 2**20:.1f} MiB of at most "
                  f"{store.budget / 2**20:,.0f}", markup=False, soft_wrap=True)  # fmt: skip
    if shelves:
        console.print(table)
    for line in _others():
        console.print(line, markup=False, soft_wrap=True)


@app.command()
def clear() -> None:
    """Remove all of it; runs and models stay.

    What is needed again is computed or unpacked again. A training that is under way on an archive
    or a saved dataset stops for want of its images; resume it.
    """
    from finetune import cache
    from finetune.features.store import FeatureStore

    others = [kind for kind in cache.KINDS if kind != "features"]
    freed = FeatureStore.usual().clear() + sum(cache.clear(kind) for kind in others)
    root = cache.cache_folder("features").parent
    _stdout().print(f"{freed / 2**20:.1f} MiB freed in {root}", markup=False, soft_wrap=True)


def _others() -> Iterator[str]:
    """A line for each kind but features that there is something of."""
    from finetune import cache

    for kind, what in cache.KINDS.items():
        folder = cache.cache_folder(kind)
        if kind != "features" and folder.is_dir():
            yield f"{folder}: {cache.kept_bytes(kind) / 2**20:.1f} MiB ({what})"


def _stdout() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about


def _named(about: dict[str, Any]) -> tuple[object, object, object]:
    size = about.get("input", {}).get("size", "")
    if "pictures" in about:
        return "decoded pictures", size, about["pictures"]
    name = f"{about.get('name', 'unknown')} before {about.get('first', 'an unknown stage')}"
    return name, size, about.get("number_format", "")
