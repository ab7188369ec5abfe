"""Makes the reference pages that come from the code: ``python docs/generate.py``.

A test compares `pages` with the files.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.testing import CliRunner

import finetune
from finetune.cli.app import app
from finetune.recipe.reference import reference

FOLDER = Path(__file__).parent / "reference"

_WIDTH = 80
_CLI = """\
# Commands

What `--help` says, made by `docs/generate.py`. Exit status and streams: [errors](errors.md).
"""
_API = """\
# Python

The names of `import finetune`, made from their docstrings by `docs/generate.py`. How they are used:
[use it from Python](../how-to/use-from-python.md).
"""


def pages() -> dict[Path, str]:
    """The text of each page by its file."""
    return {
        FOLDER / "recipe.md": reference(),
        FOLDER / "cli.md": "\n".join([_CLI, *_commands(typer.main.get_command(app))]),
        FOLDER / "api.md": "\n".join([_API, *(_public(name) for name in sorted(_names()))]),
    }


def _commands(command: object, *words: str) -> Iterator[str]:
    """What ``--help`` says of a command and of those beneath it."""
    runner = CliRunner(env={"COLUMNS": str(_WIDTH), "TERMINAL_WIDTH": str(_WIDTH)})
    shown = runner.invoke(app, [*words, "--help"], prog_name="finetune").stdout.strip()
    yield f"## {' '.join(('finetune', *words))}\n\n```text\n{shown}\n```\n"
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, *words, name)


def _names() -> list[str]:
    return [name for name in finetune.__all__ if not name.startswith("_")]


def _public(name: str) -> str:
    value = getattr(finetune, name)
    shown = f"## {name}\n\n```text\n{_signature(name, value)}\n```\n\n{_markdown(value)}\n"
    return shown + "".join(_members(value)) if name == "Run" else shown


def _members(owner: type) -> Iterator[str]:
    for name, member in vars(owner).items():
        if name.startswith("_") or not inspect.getdoc(member):
            continue
        call = f"```text\n{_signature(name, member)}\n```\n\n" if callable(member) else ""
        yield f"\n### Run.{name}\n\n{call}{_markdown(member)}\n"


def _signature(name: str, value: object) -> str:
    if inspect.isclass(value):
        return f"class {value.__module__}.{value.__qualname__}"
    assert callable(value)
    signature = inspect.signature(value)
    shown = list(_parameters(signature))
    on_one_line = f"{name}({', '.join(shown)}) -> {signature.return_annotation}"
    if len(on_one_line) <= _WIDTH:
        return on_one_line
    lines = "".join(f"    {each},\n" for each in shown)
    return f"{name}(\n{lines}) -> {signature.return_annotation}"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    keywords = False
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not keywords:
            keywords = True
            yield "*"
        default = "" if each.default is each.empty else f" = {each.default!r}"
        yield f"{each.name}: {each.annotation}{default}"


def _markdown(value: object) -> str:
    """A Google-style docstring as Markdown: its sections become lists."""
    lines, inside = [], False
    for line in (inspect.getdoc(value) or "").replace("``", "`").split("\n"):
        section = re.fullmatch(r"(Args|Attributes|Raises|Returns):", line)
        entry = re.match(r" {4}(\w+): (.*)", line)
        if section:
            inside = True
            lines.append(f"**{section[1]}**\n")
        elif inside and entry:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif inside and line.startswith(" "):
            lines.append(line[4:] if not line.startswith(" " * 8) else f"  {line.strip()}")
        else:
            inside = inside and not line
            lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Write the pages."""
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8", newline="")
        sys.stdout.write(f"{file.name}\n")


if __name__ == "__main__":
    main()
