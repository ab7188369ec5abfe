"""What a run was made with."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    "finetune-vision",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "albumentations",
    "scikit-learn",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "huggingface-hub",
    "safetensors",
    "scipy",
    "pandas",
    "pyarrow",
    "pydantic",
    "tensorboard",
)


def package_version(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def describe_machine() -> dict[str, Any]:
    """Python, packages, system and processor, as JSON types; loads none of the packages."""
    return {
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": usable_cores(),
        "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]],  # noqa: PTH119 - no path yet
    }


def usable_cores() -> int:
    """Cores that this process may use: a container may have fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a user's file
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
