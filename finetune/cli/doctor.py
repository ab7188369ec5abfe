"""``finetune doctor``: what this machine has, and what is wrong with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.environment import PACKAGES, package_version, usable_cores
from finetune.text import printable

_MALICIOUS_LIGHTNING = ("2.6.2", "2.6.3")
_LITTLE_DISK = 5 * 2**30


@dataclass(frozen=True)
class Finding:
    """A line of the examination.

    Attributes:
        what: What was looked at.
        found: What was found.
        mend: What to do about it; ``""`` where all is well.
        stops: Whether nothing works until that is done.
    """

    what: str
    found: str
    mend: str = ""
    stops: bool = False


def examine() -> int:
    """Print what was found; exit status 2 if something keeps `finetune` from working."""
    findings = list(_findings())
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "what", "found"):
        table.add_column(name)
    for finding in findings:
        mark = (
            ("✗", "red") if finding.stops else ("!", "yellow") if finding.mend else ("✓", "green")
        )
        text = "\n".join(part for part in (finding.found, finding.mend) if part)
        table.add_row(Text(*mark), finding.what, Text(printable_lines(text)))
    console.print(table)
    return 2 if any(finding.stops for finding in findings) else 0


def _findings() -> Iterator[Finding]:
    """What the checks find, as far as the first thing that stops all else from being looked at."""
    for check in _CHECKS:
        found = list(check())
        yield from found
        if any(finding.stops for finding in found):
            return


def printable_lines(text: str) -> str:
    """``text`` with each of its lines made safe to show."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _versions() -> Iterator[Finding]:
    yield Finding("python", sys.version.split()[0])
    missing = [name for name in PACKAGES if package_version(name) is None]
    told = ", ".join(f"{name} {package_version(name)}" for name in PACKAGES if name not in missing)
    mend = f"Missing: {', '.join(missing)}. Install finetune again." if missing else ""
    yield Finding("packages", told, mend, stops=bool(missing))
    if package_version("lightning") in _MALICIOUS_LIGHTNING:
        yield Finding(
            "lightning",
            f"{package_version('lightning')} was a malicious release",
            "Uninstall it, change this machine's credentials, and install 2.6.6 or later.",
            stops=True,
        )


def _torch_pair() -> Iterator[Finding]:
    """A torchvision built for another torch breaks `import lightning`; try it apart from us."""
    command = [sys.executable, "-c", "import torch, torchvision; torchvision.ops.nms"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        yield Finding("torch and torchvision", "fit each other")
        return
    last = (result.stderr.strip().splitlines() or ["unknown"])[-1]
    yield Finding(
        "torch and torchvision",
        f"don't fit each other: {last}",
        "Install both from one place: pip install --force-reinstall torch torchvision",
        stops=True,
    )


def _devices() -> Iterator[Finding]:
    import torch

    from finetune.model.device import pick_device
    from finetune.model.precision import native_bfloat16

    device = pick_device()
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{usable_cores()} cores"
    )
    count = torch.cuda.device_count()
    many = f"; {count} GPUs are visible and one is used" if count > 1 else ""
    yield Finding("device", f"{device} ({name}){many}")
    native = "bfloat16 and float32" if native_bfloat16(device) else "float32"
    yield Finding("number formats", native)


def _memory() -> Iterator[Finding]:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield Finding("memory", f"{total / 2**30:.0f} GiB")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    mend = "A run of ResNet-50 wants about 1 GiB." if free < _LITTLE_DISK else ""
    yield Finding("disk", f"{free / 2**30:.0f} GiB free here", mend)


def _store() -> Iterator[Finding]:
    from finetune.features.store import FeatureStore

    store = FeatureStore.usual()
    sizes = f"{store.size() / 2**30:.1f} GiB of at most {store.budget / 2**30:.1f}"
    yield Finding("feature store", f"{store.root}: {sizes}")


def _hub() -> Iterator[Finding]:
    from finetune.errors import WeightsError
    from finetune.model.hub import endpoint, probe

    try:
        probe()
    except WeightsError as error:
        mend = "Weights that are not in the cache need --weights FILE or --weights none."
        yield Finding("model hub", error.found, mend)
    else:
        yield Finding("model hub", f"{endpoint()} answers")


_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _memory,
    _disk,
    _versions,
    _torch_pair,
    _devices,
    _store,
    _hub,
)
