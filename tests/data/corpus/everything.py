"""All kinds of file together."""

from __future__ import annotations

from functools import cache

from tests.data.corpus import colours, damaged, disguised, huge, looks, variants
from tests.data.corpus.kinds import Kind


@cache
def all_kinds() -> tuple[Kind, ...]:
    """Every kind that a file's content makes; the names are all different."""
    themes = (damaged, disguised, huge, colours, variants, looks)
    found = tuple(kind for theme in themes for kind in theme.kinds())
    assert len({kind.name for kind in found}) == len(found)
    return found
