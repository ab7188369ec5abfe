"""A resolved recipe as YAML that reads back the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from finetune.recipe.yaml_reader import FLOAT

if TYPE_CHECKING:
    from finetune.recipe.schema import Recipe


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would take for something other than text."""

    def ignore_aliases(self, data: object) -> bool:
        """Write equal values out each time."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # Line breaks of Unicode's would be read as breaks: in double quotes they are escaped.
    style = '"' if any(each in value for each in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def dump(recipe: Recipe) -> str:
    """Every key of the recipe with its value, in the schema's order."""
    return yaml.dump(
        recipe.model_dump(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
