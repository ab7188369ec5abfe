"""Which column of a saved dataset holds the images, and which their classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.errors import DataError
from finetune.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

_STRINGS = ("string", "large_string")
_GROUP = "group"


@dataclass(frozen=True)
class Columns:
    """Columns by name.

    Attributes:
        image: Of the feature ``Image``.
        label: Of the feature ``ClassLabel``, or of strings.
        classes: The names that the label's numbers stand for; None where they are strings.
        group: What images have in common; empty where there is none.
        unused: All others.
    """

    image: str
    label: str
    classes: tuple[str, ...] | None
    group: str
    unused: tuple[str, ...]


def choose_columns(features: Mapping[str, Any]) -> Columns:
    """The one column of images and the one of classes among ``features``, as JSON has them.

    Of several, the one called ``image`` or ``label`` is meant. A column of strings is asked only
    where there is no ``ClassLabel``. A column ``group`` is what it is in a table.

    Raises:
        DataError: There are none, or several.
    """
    image = _the_one(_of_kind(features, "Image"), "image", "images (the feature Image)", features)
    numbered = _of_kind(features, "ClassLabel")
    texts = [name for name in _of_kind(features, "Value") if _is_text(features[name])]
    labels = numbered or [name for name in texts if name != _GROUP]
    label = _the_one(labels, "label", "classes (ClassLabel, or strings)", features)
    group = _GROUP if _GROUP in texts else ""
    unused = tuple(name for name in features if name not in (image, label, group))
    classes = _class_names(label, features[label]) if numbered else None
    return Columns(image, label, classes, group, unused)


def _of_kind(features: Mapping[str, Any], kind: str) -> list[str]:
    return [
        name
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == kind
    ]


def _is_text(feature: Mapping[str, Any]) -> bool:
    return feature.get("dtype") in _STRINGS


def _the_one(found: list[str], usual: str, what: str, features: Mapping[str, Any]) -> str:
    if len(found) == 1 or usual in found:
        return found[0] if len(found) == 1 else usual
    if found:
        raise DataError(
            f"{len(found)} columns of {what}: {listed(found)}",
            mend=f'Call the one that is meant "{usual}", with dataset.rename_column, and save it '
            "again.",
        )
    raise DataError(
        f"no column of {what}; its columns are {listed(list(features)) or 'none'}",
        mend=f'Make it one with dataset.cast_column("{usual}", ...), and save it again.',
    )


def _class_names(label: str, feature: Mapping[str, Any]) -> tuple[str, ...]:
    names = feature.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"the ClassLabel {listed([label])} has no names of classes")
    return tuple(names)
