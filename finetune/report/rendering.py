"""From templates to HTML in which no name from the data is ever more than text."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from finetune.text import plural, printable

_LONGEST = 300


def render(template: str, **values: Any) -> str:
    """The page that ``template`` makes of ``values``: the same bytes for the same values."""
    return environment().get_template(template).render(values)


@cache
def environment() -> Environment:
    """Where our templates are found, and how they are filled: always escaped, nothing missing."""
    environment = Environment(
        loader=PackageLoader("finetune.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, percent=percent, plural=plural, shortened=shortened)
    return environment


def template_text(name: str) -> str:
    """A file beside the templates, as it is."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def _printable(value: object) -> object:
    """Escapes alone would let line breaks, text that runs backwards and lone surrogates through."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


def _number(value: int) -> str:
    return f"{value:,}"


def percent(value: float | None) -> str:
    """``90.8 %``; a dash where it is undefined."""
    return "–" if value is None else f"{100 * value:.1f} %"


def shortened(name: str, longest: int = _LONGEST) -> str:
    """``name``, safe to show, with its middle left out where it has more characters."""
    shown = printable(name)
    half = longest // 2
    return shown if len(shown) <= longest else f"{shown[:half]} … {shown[-half:]}"
