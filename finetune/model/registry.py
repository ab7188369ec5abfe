"""Backbones by name: timm's registry, and nothing that isn't in it."""

from __future__ import annotations

import difflib
import re

from timm.models import (
    get_deprecated_models,
    get_pretrained_cfg,
    list_models,
    list_pretrained,
    split_model_name_tag,
)
from timm.models._pretrained import PretrainedCfg

from finetune.errors import RecipeError
from finetune.text import listed

_LONGEST_NAME = 200


def find_backbone(name: str, where: str = "model.backbone") -> tuple[str, str]:
    """The architecture and the tag of its weights that ``name`` stands for.

    Args:
        name: ``architecture`` or ``architecture.tag``.
        where: The key or file that the name comes from, for messages.

    Returns:
        Both names; the tag is ``""`` where none is given.

    Raises:
        RecipeError: timm has no such backbone or no such weights; the nearest names are told.
    """
    if len(name) > _LONGEST_NAME or any(c in name for c in ":/\\"):
        raise RecipeError(
            f"{name[:_LONGEST_NAME]!r} is no name of a backbone",
            where=where,
            mend="Give a timm name, such as resnet50.tv_in1k; a file goes to --weights.",
        )
    architecture, tag = split_model_name_tag(name)
    if architecture not in set(list_models()):
        raise _unknown(name, where)
    tags = pretrained_tags(architecture)
    if tag and tag not in tags:
        known = f"Its weights are: {listed([f'{architecture}.{t}' for t in tags])}."
        mend = known if tags else f"timm has no weights for {architecture}."
        raise RecipeError(f"{architecture} has no weights called {tag!r}", where=where, mend=mend)
    return architecture, tag


def pretrained_tags(architecture: str) -> list[str]:
    """Tags of the weights that timm has for an architecture."""
    prefix = f"{architecture}."
    return [n.removeprefix(prefix) for n in list_pretrained() if n.startswith(prefix)]


def registered(architecture: str, tag: str) -> PretrainedCfg:
    """What timm knows about an architecture's weights: source, input size, mean, licence, ...

    Without a tag these are the weights that timm prefers.
    """
    config = get_pretrained_cfg(f"{architecture}.{tag}" if tag else architecture)
    return config or PretrainedCfg(architecture=architecture)


def nearest(name: str) -> str:
    """``Did you mean …? `` with the backbones whose names are like ``name``; ``""`` without any."""
    architecture = split_model_name_tag(name[:_LONGEST_NAME])[0].lower()
    renamed = get_deprecated_models().get(architecture)
    names = list_models()
    plain = {each.replace("_", ""): each for each in reversed(names)}
    near = [renamed] if renamed else difflib.get_close_matches(architecture, names, n=5)
    near = near or [plain[n] for n in difflib.get_close_matches(_plain(architecture), plain, n=5)]
    return f"Did you mean {listed(near)}? " if near else ""


def _plain(name: str) -> str:
    """``ResNet-50`` is what people write for ``resnet50``."""
    return re.sub(r"[^a-z0-9]", "", name)


def _unknown(name: str, where: str) -> RecipeError:
    return RecipeError(
        f"timm has no backbone called {name!r}",
        where=where,
        mend=f"{nearest(name)}`finetune backbones PATTERN` lists them.",
    )
