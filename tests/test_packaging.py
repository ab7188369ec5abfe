"""The wheel works outside the checkout, with its recipes and data set cards inside."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in tracked.stdout.splitlines():
        if not name.startswith(("tests/", "docs/", "benchmarks/")) and (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(out), str(source)],
        check=True,
        capture_output=True,
    )
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_one_top_level_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"finetune"}
    for recipe in (ROOT / "recipes").glob("*.yaml"):
        assert f"finetune/recipes/{recipe.name}" in names
    for described in [*(ROOT / "datasets").glob("*.yaml"), *(ROOT / "datasets").glob("*.md")]:
        assert f"finetune/datasets/{described.name}" in names
    assert "finetune/py.typed" in names
    templates = ROOT / "finetune" / "report" / "templates"
    for template in (path for path in templates.rglob("*") if path.is_file()):
        assert template.relative_to(ROOT).as_posix() in names
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "finetune").rglob("__init__.py")}
    assert {f"{package}/__init__.py" for package in packages} <= set(names)


def test_the_wheel_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    # The dependencies of this environment, without its own editable finetune.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    python = str(home / "bin" / "python")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = "import finetune; finetune.train; print(finetune.__file__)"
    found = subprocess.run(
        [python, "-c", where],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=alone,
    )
    assert found.stdout.startswith(str(home))
    for words, folder in (("recipes list", "recipes"), ("datasets list", "datasets")):
        listed = subprocess.run(
            [python, "-m", "finetune", *words.split()],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env=alone,
        )
        for described in (ROOT / folder).glob("*.yaml"):
            assert described.stem in listed.stdout
