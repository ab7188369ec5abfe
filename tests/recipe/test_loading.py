from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from finetune.errors import RecipeError
from finetune.recipe.catalogue import catalogue
from finetune.recipe.loading import MAX_CHAIN, load_recipe, recipe_file, resolve
from finetune.recipe.schema import SolverPhase

if TYPE_CHECKING:
    from tests.recipe.conftest import Write

PROBE = "phases:\n- {name: probe, solver: lbfgs}\n"


def fault(name_or_file: str) -> str:
    with pytest.raises(RecipeError) as error:
        load_recipe(name_or_file)
    return str(error.value)


def test_a_file_is_read(write: Write) -> None:
    recipe = load_recipe(write("mine.yaml", f"name: own\nseed: 7\n{PROBE}"))
    assert (recipe.name, recipe.seed) == ("own", 7)


def test_a_path_needs_no_suffix(write: Write) -> None:
    assert load_recipe(Path(write("mine", f"name: own\n{PROBE}"))).name == "own"


@pytest.mark.parametrize(
    ("file", "name"), [("rice.yaml", "rice"), ("my rice.yml", "my_rice"), ("_é.yaml", "recipe")]
)
def test_a_name_that_is_not_given_is_the_files_own(write: Write, file: str, name: str) -> None:
    assert load_recipe(write(file, PROBE)).name == name


def test_a_fault_names_file_line_and_key(write: Write) -> None:
    file = write("mine.yaml", f"name: own\n{PROBE}input: {{fit: cut}}\n")
    assert fault(file).startswith(f"{file}:4: input.fit: must be crop, squash or letterbox;")


def test_overrides_stand_over_the_file(write: Write) -> None:
    file = write("mine.yaml", f"seed: 7\n{PROBE}")
    assert load_recipe(file, ["seed=8"]).seed == 8
    with pytest.raises(RecipeError, match=r"^--set sed=8: sed: unknown key; the nearest is seed"):
        load_recipe(file, ["sed=8"])


def test_a_loaded_recipe_takes_overrides(write: Write) -> None:
    recipe = load_recipe(write("mine.yaml", PROBE))
    assert resolve(recipe) == recipe
    assert resolve(recipe, ["phases.probe.folds=3"]).phases == [SolverPhase(name="probe", folds=3)]
    assert resolve(write("again.yaml", PROBE), ["seed=4"]).seed == 4


def test_a_name_is_of_the_catalogue_even_beside_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = catalogue()[0].name
    (tmp_path / name).write_text("name: imposter")
    monkeypatch.chdir(tmp_path)
    assert load_recipe(name).name == name


def test_what_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    assert fault("lpft").startswith("there is no recipe 'lpft'; the nearest is lp_ft (there are: ")
    assert fault(str(tmp_path / "x.yaml")) == f"{tmp_path}/x.yaml: there is no such file"
    assert fault("no/lp_ft.yaml").endswith("The catalogue's own is called lp_ft, without a suffix.")
    assert fault(f"{tmp_path}/") == f"{tmp_path}/: is no file"


def test_the_file_of_a_recipe(write: Write) -> None:
    assert recipe_file("lp_ft").name == "lp_ft.yaml"
    file = write("mine.yaml", PROBE)
    assert recipe_file(file) == Path(file)


def test_extends_merges_mappings_and_replaces_lists(write: Write) -> None:
    write(
        "base.yaml",
        "name: base\nseed: 3\nmodel: {backbone: resnet18, dropout: 0.5}\n"
        "phases:\n- {name: a, solver: lbfgs}\n- {name: b, solver: lbfgs}\n",
    )
    file = write("mine.yaml", f"extends: base.yaml\nmodel: {{dropout: 0.1}}\n{PROBE}")
    recipe = load_recipe(file)
    assert (recipe.name, recipe.seed) == ("mine", 3)
    assert (recipe.model.backbone, recipe.model.dropout) == ("resnet18", 0.1)
    assert [phase.name for phase in recipe.phases] == ["probe"]


def test_a_recipe_may_do_nothing_but_extend(write: Write) -> None:
    recipe = load_recipe(write("mine.yaml", "extends: lp_ft\n"))
    assert recipe == load_recipe("lp_ft").model_copy(update={"name": "mine"})


def test_a_fault_in_what_is_extended_names_that_file(write: Write, tmp_path: Path) -> None:
    write("base.yaml", f"seed: x\n{PROBE}")
    file = write("mine.yaml", "extends: base.yaml\nkeep: y\n")
    told = fault(file).split("\n")
    assert told[0].startswith(f"{tmp_path}/base.yaml:1: seed: ")
    assert told[1].startswith(f"{tmp_path}/mine.yaml:2: keep: ")


def test_a_key_that_is_overridden_is_told_where_it_was_last_said(write: Write) -> None:
    write("base.yaml", f"seed: 1\n{PROBE}")
    assert "mine.yaml:3: seed: " in fault(write("mine.yaml", "extends: base.yaml\n\nseed: x\n"))


def test_a_circle_is_refused_with_its_chain(write: Write, tmp_path: Path) -> None:
    file = write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "seed: 1\nextends: a.yaml\n")
    assert fault(file) == (
        f"{tmp_path}/b.yaml:2: extends: goes round in a circle: {tmp_path}/a.yaml extends "
        f"{tmp_path}/b.yaml extends {tmp_path}/a.yaml"
    )
    assert "goes round in a circle" in fault(write("self.yaml", "extends: self.yaml\n"))


def test_a_circle_through_a_link_is_seen(write: Write, tmp_path: Path) -> None:
    file = write("a.yaml", "extends: link.yaml\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "a.yaml")
    assert "goes round in a circle" in fault(file)


def test_the_depth_of_a_chain_is_limited(write: Write) -> None:
    write("r0.yaml", PROBE)
    for depth in range(1, MAX_CHAIN + 1):
        write(f"r{depth}.yaml", f"extends: r{depth - 1}.yaml\n")
    folder = os.path.dirname(write("x.yaml", PROBE))  # noqa: PTH120
    assert load_recipe(f"{folder}/r{MAX_CHAIN - 1}.yaml").name == f"r{MAX_CHAIN - 1}"
    assert f"is more than {MAX_CHAIN} recipes deep" in fault(f"{folder}/r{MAX_CHAIN}.yaml")


@pytest.mark.parametrize(
    "target",
    [
        "../outside.yaml",
        "sub/inside.yaml",
        "/etc/hostname",
        "/etc/x.yaml",
        "..",
        ".",
        "''",
        "C:x.yaml",
        '"a\\0.yaml"',
        "..\\outside.yaml",
        "http://localhost/x.yaml",
    ],
)
def test_extends_leads_nowhere_else(write: Write, tmp_path: Path, target: str) -> None:
    (tmp_path / "sub").mkdir()
    write("sub/inside.yaml", PROBE)
    (tmp_path.parent / "outside.yaml").write_text(PROBE)
    told = fault(write("mine.yaml", f"extends: {target}\n"))
    assert "mine.yaml:1: extends: must be a recipe's name or a file in the same folder" in told


def test_a_link_to_another_folder_is_refused(write: Write, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.yaml").write_text(PROBE)
    (tmp_path / "link.yaml").symlink_to(elsewhere / "real.yaml")
    assert "'link.yaml' is a link to another folder" in fault(
        write("mine.yaml", "extends: link.yaml\n")
    )


def test_a_link_to_itself_is_no_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    assert "there is no file 'loop.yaml'" in fault(write("mine.yaml", "extends: loop.yaml\n"))


@pytest.mark.parametrize("value", ["3", "null", "[lp_ft]", "{a: b}"])
def test_extends_is_a_name(write: Write, value: str) -> None:
    told = fault(write("mine.yaml", f"seed: 1\nextends: {value}\n"))
    assert "mine.yaml:2: extends: must be a recipe's name or a file in the same folder; got" in told


def test_a_parent_that_is_not_there_is_told(write: Write) -> None:
    told = fault(write("mine.yaml", "extends: base.yaml\n"))
    assert "mine.yaml:1: extends: there is no file 'base.yaml' in the same folder" in told
    told = fault(write("mine.yaml", "extends: lpft\n"))
    assert "mine.yaml:1: extends: there is no recipe 'lpft'; the nearest is lp_ft" in told


def test_extends_is_no_key_of_a_section(write: Write) -> None:
    told = fault(write("mine.yaml", f"{PROBE}model: {{extends: lp_ft}}\n"))
    assert "model.extends: unknown key" in told


def test_loading_a_recipe_loads_nothing_heavy() -> None:
    code = (
        "import sys, finetune.recipe.loading, finetune.recipe.reference\n"
        "finetune.recipe.loading.load_recipe('lp_ft')\n"
        "heavy = {'torch', 'timm', 'pandas', 'albumentations', 'sklearn', 'numpy', 'rich'}\n"
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
