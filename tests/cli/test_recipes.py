from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from typer.testing import CliRunner, Result

from finetune.cli.recipes import app
from finetune.errors import RecipeError
from finetune.recipe.catalogue import catalogue
from finetune.recipe.loading import load_recipe

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PROBE = "phases:\n- {name: probe, solver: lbfgs}\n"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def done(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> RecipeError:
    result = call(*arguments)
    assert isinstance(result.exception, RecipeError)
    return result.exception


def test_list_names_every_recipe_within_80_columns() -> None:
    told = done("list")
    assert all(f" {each.name} " in told for each in catalogue())
    assert max(len(line) for line in told.splitlines()) <= 80


def test_show_gives_the_file_as_it_is() -> None:
    entry = catalogue()[0]
    assert done("show", entry.name) == entry.path.read_text(encoding="utf-8")


def test_show_resolved_gives_a_recipe_that_loads_the_same(tmp_path: Path) -> None:
    file = tmp_path / "resolved.yaml"
    file.write_text(done("show", "lp_ft", "--resolved"), encoding="utf-8")
    assert load_recipe(file) == load_recipe("lp_ft")


def test_show_fills_in_what_a_file_extends(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("# :smile: [bold]mine[/bold]\nextends: lp_ft\n")
    assert done("show", str(file)) == "# :smile: [bold]mine[/bold]\nextends: lp_ft\n"
    told = done("show", str(file), "--resolved")
    assert told.startswith("name: mine\n")
    assert "extends" not in told


def test_show_of_an_unknown_name_is_refused() -> None:
    assert "the nearest is lp_ft" in refused("show", "lpft").found


def test_copy_gives_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = catalogue()[0]
    assert "mine.yaml" in done("copy", entry.name, "mine.yaml")
    done("copy", entry.name)
    for copied in (tmp_path / "mine.yaml", tmp_path / f"{entry.name}.yaml"):
        assert copied.read_bytes() == entry.path.read_bytes()


def test_copy_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("precious")
    assert "already there" in refused("copy", "lp_ft", str(file)).found
    assert file.read_text() == "precious"


def test_copy_to_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    error = refused("copy", "lp_ft", str(tmp_path / "absent" / "mine.yaml"))
    assert error.found == "can't be written (No such file or directory)"


def test_check_says_ok_and_tells_all_faults_of_all_files(tmp_path: Path) -> None:
    good, bad, worse = (tmp_path / name for name in ("good.yaml", "bad.yaml", "worse.yaml"))
    good.write_text(PROBE)
    bad.write_text(f"seed: x\nkeep: y\n{PROBE}")
    worse.write_text("seed: [1\n")
    result = call("check", str(bad), str(good), str(worse), str(tmp_path / "absent.yaml"))
    assert result.stdout == f"{good}: ok\n"
    assert isinstance(result.exception, RecipeError)
    told = str(result.exception).split("\n")
    assert [line.split(": ")[0] for line in told[:4]] == [
        f"{bad}:1",
        f"{bad}:2",
        f"{worse}:2",
        f"{tmp_path}/absent.yaml",
    ]
    assert "finetune recipes schema" in told[4]


def test_check_of_good_recipes_raises_nothing() -> None:
    told = done("check", *(each.name for each in catalogue()))
    assert told.splitlines() == [f"{each.name}: ok" for each in catalogue()]


def test_schema_is_json() -> None:
    assert json.loads(done("schema"))["properties"]["extends"]


def test_the_commands_are_known_without_loading_the_schema() -> None:
    code = (
        "import sys, finetune.cli.recipes\nsys.exit(len({'pydantic', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
