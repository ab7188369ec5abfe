"""The public data sets that `finetune` has a descriptor of, found by looking."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from finetune.data.public.descriptors import Descriptor
from finetune.errors import DataError
from finetune.recipe.faults import nearest
from finetune.recipe.yaml_reader import read_file
from finetune.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator


def catalogue() -> tuple[Descriptor, ...]:
    """All descriptors, by name."""
    return tuple(load_descriptor(path) for _, path in sorted(_files().items()))


def descriptor(name: str) -> Descriptor:
    """The descriptor of that name.

    Raises:
        DataError: There is none.
    """
    return load_descriptor(_files()[_known(name)])


def card(name: str) -> str:
    """The card of that name: Markdown.

    Raises:
        DataError: There is none.
    """
    return _files()[_known(name)].with_suffix(".md").read_text(encoding="utf-8")


def load_descriptor(path: Path) -> Descriptor:
    """The descriptor in a YAML file.

    Raises:
        RecipeError: It is no YAML.
        DataError: It is no descriptor; all that is wrong with it is told together.
    """
    plain = read_file(path, path.name).plain()
    try:
        # By way of JSON, whose lists pydantic takes for tuples where all else is strict.
        return Descriptor.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
        raise DataError("\n".join(faults), where=path.name) from error


def _known(name: str) -> str:
    names = sorted(_files())
    if name in names:
        return name
    close = nearest(name, names)
    hint = f"; the nearest is {close}" if close else ""
    raise DataError(
        f"there is no data set {name!r}{hint} (there are: {listed(names, 40)})",
        mend="A folder or an archive of your own needs no descriptor: name it after `train`.",
    )


def _files() -> dict[str, Path]:
    return {path.stem: path for folder in _folders() for path in folder.glob("*.yaml")}


def _folders() -> Iterator[Path]:
    """Where the descriptors lie: packaged with the code, or beside it in a checkout."""
    spec = find_spec("finetune.datasets")
    packaged = spec.submodule_search_locations if spec else None
    for place in packaged or [str(Path(__file__).parents[3] / "datasets")]:
        folder = Path(place)
        if folder.is_dir():
            yield folder
