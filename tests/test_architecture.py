"""The packages import in one direction only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "finetune"
GROUND = ["errors", "text", "files", "console", "environment", "memory", "cache", "locking", "run"]
ORDER = [
    *GROUND,
    "recipe",
    "data",
    "model",
    "features",
    "evaluation",
    "inspection",
    "tracking",
    "training",
    "choosing",
    "report",
    "experiments",
    "deploy",
    "api",
    "cli",
]
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in ORDER)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"relative: {path}"


def room(dotted: str) -> str:
    return dotted.split(".")[1]


def test_the_modules_were_found() -> None:
    assert len(MODULES) > 40
    assert {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in MODULES} == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_runs_upward(path: Path) -> None:
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    reached = {room(name) for name in imports(path) if name.startswith("finetune.")}
    upward = {name for name in reached & set(ORDER) if ORDER.index(name) > ORDER.index(here)}
    assert not upward


def test_no_package_imports_in_a_circle() -> None:
    modules = {module_name(path): path for path in MODULES}
    edges = {
        name: {used for used in imports(path) if used in modules and used != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"circle: {' > '.join((*above, name))}"
        if name not in done:
            for used in edges[name]:
                walk(used, (*above, name))
            done.add(name)

    for name in modules:
        walk(name, ())
    assert len(done) == len(modules)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("statement", ["import finetune", "import finetune.cli.app"])
def test_what_must_start_fast_loads_nothing_heavy(statement: str) -> None:
    heavy = ["torch", "albumentations", "pandas", "sklearn", "timm", "lightning", "PIL", "scipy"]
    check = f"{statement}; import sys; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_what_trains_no_stage_loads_no_lightning() -> None:
    check = "import finetune.api, sys; print([m for m in sys.modules if m == 'lightning'])"
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_only_the_command_line_and_the_console_print() -> None:
    printing = [
        path
        for path in MODULES
        if path.relative_to(ROOT).parts[0] not in ("cli", "console.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert not printing
