"""``finetune report``."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console as Screen


def write_report(run: Path) -> None:
    """Write a run's report again, and tell where it is."""
    from finetune import api

    page = api.report(run)
    Screen(highlight=False).print(f"Written: {page}", markup=False, soft_wrap=True)
