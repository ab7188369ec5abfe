"""The documents hold: their blocks run, their links lead somewhere, their tables are complete."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

import finetune
from finetune import errors
from finetune.cli import main
from finetune.console import Silent
from finetune.data.manifest import Item
from finetune.experiments.directory import ExperimentDirectory, FoldDirectory
from finetune.run import RunDirectory
from finetune.training.log import LogRow

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
LINKING = [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]

_NOT_RUN = re.compile(r"<!-- not run: (.*) -->")
_SHELL = set("|><$*?;&`\\(")
_PICTURES = {"red": 24, "green": 24, "blue": 24}


@dataclass(frozen=True)
class Block:
    """A block of code in a document.

    Attributes:
        language: ``bash`` or ``python``.
        text: What stands in it.
        place: The document with the line, for messages.
        not_run: Why it can't be run, or None.
    """

    language: str
    text: str
    place: str
    not_run: str | None


def blocks(document: Path) -> Iterator[Block]:
    lines = document.read_text(encoding="utf-8").split("\n")
    fences = [at for at, line in enumerate(lines) if line.startswith("```")]
    for start, end in zip(fences[::2], fences[1::2], strict=True):
        language = lines[start].removeprefix("```")
        if language in ("bash", "python"):
            text = "\n".join(lines[start + 1 : end])
            place = f"{document.relative_to(ROOT)}:{start + 2}"
            yield Block(language, text, place, _reason(lines[:start]))


def _reason(before: list[str]) -> str | None:
    """What the comments right before a block say, if one of them says that it is not run."""
    while before and before[-1].startswith("<!--"):
        if match := _NOT_RUN.fullmatch(before[-1]):
            return match[1]
        before = before[:-1]
    return None


def commands(text: str) -> Iterator[str]:
    """The commands of a bash block; a here-document belongs to its command."""
    lines = iter(text.split("\n"))
    for line in lines:
        command = [line]
        if "<<'EOF'" in line:
            for more in lines:
                command.append(more)
                if more == "EOF":
                    break
        yield "\n".join(command)


RUNNING = [path for path in DOCUMENTS if any(not block.not_run for block in blocks(path))]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, write_photos: Callable[..., Path]) -> Path:
    """What the documents suppose: pictures of three classes, and a weights file."""
    folder = tmp_path_factory.mktemp("documents")
    write_photos(folder / "photos", _PICTURES, noise=120)
    write_photos(folder / "more_photos", dict.fromkeys(_PICTURES, 6))
    (folder / "new_pictures").mkdir()
    for number, path in enumerate(sorted((folder / "more_photos").rglob("*.png")), 1):
        shutil.copy(path, folder / "new_pictures" / f"{number}.png")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    said = {"architecture": "test_resnet", "input_size": "3,48,48"}
    save_file(network.state_dict(), folder / "weights.safetensors", metadata=said)
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh copy of it as the working directory, on one core and without the hub."""
    folder = tmp_path / "place"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    # With networks this small, threads and worker processes cost more than they bring.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)


@pytest.mark.parametrize("document", RUNNING, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks_run(document: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(document):
        if block.not_run:
            continue
        if block.language == "python":
            exec(compile(block.text, block.place, "exec"), names)
        else:
            for command in commands(block.text):
                _run(command, block.place, monkeypatch)


def _run(command: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command: a plain one of ours in this process, which has loaded torch already."""
    if command.startswith("finetune ") and not _SHELL & set(re.sub(r'"[^"$]*"', "", command)):
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, f"{where}: {command}"
        return
    shell = ["bash", "-euo", "pipefail", "-c", command]
    result = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{where}: {command}\n{result.stderr}"


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    reasons = [block.not_run for path in DOCUMENTS for block in blocks(path)]
    given = [reason for reason in reasons if reason is not None]
    assert all(len(reason) > 10 for reason in given)
    assert len(given) <= 8
    assert len(reasons) > 4 * len(given)


@pytest.mark.parametrize("document", LINKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.is_file(), target
        assert path.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(path), target


def anchors(document: Path) -> set[str]:
    """What headings are called in links, as GitHub does it."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / name) for name in re.findall(r"\]\(([^)#]+)\)", index)}
    assert linked == {path for path in DOCUMENTS if path.name != "README.md"} | {*NOTEBOOKS}


def test_generated_pages_are_up_to_date() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    assert {path.name for path in pages} == {"recipe.md", "cli.md", "api.md"}
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"run docs/generate.py for {path.name}"


def test_messages_in_troubleshooting_are_in_the_code() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    told = re.findall(r"^### `(.*)`$", page, re.MULTILINE)
    assert len(told) > 40
    assert len(set(told)) == len(told)
    texts = "\n\0".join(_texts())
    for message in told:
        literal = [re.escape(part) for part in message.split("…")]
        assert sum(map(len, literal)) > 8, message
        assert re.search("[^\0]*".join(literal), texts), message


def _texts() -> Iterator[str]:
    """Every text in the code; ``…`` stands where an f-string puts a value."""
    for path in (ROOT / "finetune").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                yield "".join(map(str, parts))


def test_every_kind_of_error_is_described() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    assert len(kinds) > 7
    for kind in kinds:
        assert f"`{kind.__name__}`" in page or f"`finetune.{kind.__name__}`" in page


def test_every_file_column_and_key_is_described(place: Path) -> None:
    run = finetune.train(
        "photos",
        overrides=["keep=last", "phases.tune.epochs=1", "evaluate.bootstrap=100"],
        weights="weights.safetensors",
        reporter=Silent(),
    )
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    described = set(re.findall(r"[\w.]+", " ".join(re.findall(r"`([^`]+)`", prose))))
    described |= {part for word in described for part in word.split(".")}
    names = {path.name for path in [*run.path.iterdir(), *(run.path / "model").iterdir()]}
    names |= {field.name for field in (*fields(Item), *fields(LogRow))}
    names |= set((run.path / "predictions.csv").read_text().split("\n")[0].split(",")[:7])
    for file in ("phases.json", "environment.json", "metrics.json", "model/preprocessing.json"):
        names |= _keys(json.loads((run.path / file).read_text(encoding="utf-8")))
    assert {"best_epoch", "digest_after", "uncalibrated", "log.csv", "majority"} <= names
    assert not names - described


def _keys(value: Any) -> set[str]:
    """All keys, but those that are names of classes and packages or numbers."""
    if isinstance(value, list):
        return {key for each in value for key in _keys(each)}
    if not isinstance(value, dict):
        return set()
    named = {key: child for key, child in value.items() if key not in ("per_class", "packages")}
    named |= {"per_class": list(value.get("per_class", {}).values())}
    return {key for key in named if not key.isdecimal()} | _keys(list(named.values()))


def test_the_architecture_names_every_package() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "finetune"
    found = {path.stem for path in package.iterdir() if (path / "__init__.py").is_file()}
    found |= {path.stem for path in package.glob("*.py") if not path.stem.startswith("_")}
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert rows == found
    for mentioned in re.findall(r"`(finetune/[\w/]+\.py)`", page):
        assert (ROOT / mentioned).is_file(), mentioned


def test_the_run_directory_has_no_file_that_is_not_described() -> None:
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    places = [each for each in vars(RunDirectory).values() if isinstance(each, property)]
    files = [each.fget(RunDirectory(Path("run"))) for each in places if each.fget]
    named = [path.name for path in files if isinstance(path, Path)]
    assert len(named) > 9
    for name in named:
        assert f"{name}`" in page or f"{name}/`" in page, name


def test_a_cross_validation_has_no_file_that_is_not_described() -> None:
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    section = page[page.index("## A cross-validation") :]
    for kind in (ExperimentDirectory, FoldDirectory):
        places = [each for each in vars(kind).values() if isinstance(each, property)]
        files = [each.fget(kind(Path("cv"))) for each in places if each.fget]
        named = [path.name for path in files if isinstance(path, Path)]
        assert len(named) > 3
        for name in named:
            assert f"`{name}" in section, name


def test_the_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[^\w-]", each)[0].lower().replace("_", "-") for each in wanted}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition("==") for line in lines if not line.startswith("#")]
    assert {name for name, equal, version in pins if equal and version} == names
