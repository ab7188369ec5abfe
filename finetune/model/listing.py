"""Backbones as a person looks for them: by a part of a name or a pattern, without any weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from timm.models import list_models, list_pretrained
from timm.models._pretrained import PretrainedCfg

from finetune.console import Reporter
from finetune.errors import RecipeError, WeightsError
from finetune.model.costs import StageCost, stage_costs, total_multiply_adds, total_parameters
from finetune.model.registry import nearest, pretrained_tags, registered
from finetune.text import listed as told
from finetune.text import printable

SHORT_LIST = (
    "mobilenetv3_small_100.lamb_in1k",
    "mobilenetv2_100.ra_in1k",
    "resnet18.a1_in1k",
    "resnet50.tv_in1k",
    "efficientnet_b0.ra_in1k",
    "regnety_016.tv2_in1k",
    "convnext_tiny.in12k_ft_in1k",
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "vit_small_patch16_224.augreg_in21k_ft_in1k",
    "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "swin_tiny_patch4_window7_224.ms_in22k_ft_in1k",
    "vit_small_patch14_dinov2.lvd142m",
)
"""What is shown to those who ask for nothing in particular: common families, from small to large,
with weights whose licences allow commercial use."""


@dataclass(frozen=True)
class Listed:
    """A backbone as timm's registry knows it.

    Attributes:
        name: What ``model.backbone`` takes: the architecture, with the tag of its weights.
        architecture: timm's name without the tag.
        tag: ``""`` where timm has no weights.
        input: Side of the pictures that the weights were trained for, in pixels; ``160x120`` where
            they are not square.
        licence: Of the weights; ``""`` where it is not known.
        weights: Tags of all weights of the architecture.
    """

    name: str
    architecture: str
    tag: str
    input: str
    licence: str
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Examined:
    """A backbone with what only building it tells.

    Attributes:
        listed: What the registry knows.
        stages: Its stages from the input to the head; none where it can't be adapted.
        unfit: Why it can't be adapted, or ``""``.
    """

    listed: Listed
    stages: tuple[StageCost, ...]
    unfit: str = ""

    @property
    def parameters(self) -> int:
        """Of all stages."""
        return total_parameters(self.stages)

    @property
    def multiply_adds(self) -> int:
        """Of all stages, for one picture."""
        return total_multiply_adds(self.stages)


def find_listed(pattern: str) -> list[Listed]:
    """The backbones that ``pattern`` means, in the order of their names.

    Args:
        pattern: A part of a name, or a glob (``*``, ``?``, ``[ab]``) of a whole one; case doesn't
            matter, and in a part ``-`` stands for ``_``. With a dot it is of names with tags, and
            all weights of an architecture are backbones by themselves; else each architecture
            stands once, with the weights that timm prefers. ``""``: the `SHORT_LIST`.

    Raises:
        RecipeError: There is none; the nearest names are told.
    """
    if not pattern:
        return listed_all(SHORT_LIST)
    names = [name for name in _names(tagged="." in pattern) if _fits(name, pattern.lower())]
    if not names:
        raise _none(pattern)
    return listed_all(names)


def _none(pattern: str) -> RecipeError:
    architecture = pattern.partition(".")[0]
    tags = pretrained_tags(architecture)
    near = f"{architecture} has the weights {told(tags, 30)}. " if tags else nearest(pattern)
    return RecipeError(
        f"no backbone of timm has '{printable(pattern[:80])}' in its name",
        mend=f"{near}A pattern may have * and ?, as in 'resnet*d'.",
    )


def is_name(text: str) -> bool:
    """Whether ``text`` is the whole name of a backbone, with or without the tag of weights."""
    return text in _names(tagged="." in text)


def listed_all(names: Sequence[str]) -> list[Listed]:
    """What timm's registry knows of backbones, by their names with or without tags."""
    weights: dict[str, list[str]] = {}
    for name in list_pretrained():
        architecture, _, tag = name.partition(".")
        weights.setdefault(architecture, []).append(tag)
    return [_listed(name, weights) for name in names]


def examine(
    listed: Sequence[Listed],
    reporter: Reporter,
    *,
    num_classes: int = 1000,
    size: int | None = None,
) -> list[Examined]:
    """Build backbones without their weights and look at their stages.

    Args:
        listed: Which ones.
        reporter: Who is told.
        num_classes: Outputs of the head; 1,000 are those of ImageNet, as in published figures.
        size: Side of the pictures in pixels; None: what the weights were trained for.
    """
    examined = []
    with reporter.task("examine", len(listed), "backbones") as task:
        for each in listed:
            examined.append(_examined(each, num_classes, size))
            task.advance()
    return examined


def _examined(listed: Listed, num_classes: int, size: int | None) -> Examined:
    try:
        costs = stage_costs(listed.architecture, listed.tag, num_classes=num_classes, size=size)
    except WeightsError as error:
        return Examined(listed, (), error.found)
    return Examined(listed, costs)


def _names(*, tagged: bool) -> list[str]:
    names: list[str] = list_pretrained() if tagged else list_models()
    return names


def _fits(name: str, pattern: str) -> bool:
    if set("*?[") & set(pattern):
        return fnmatchcase(name.lower(), pattern)
    return pattern.replace("-", "_").replace(" ", "_") in name.lower()


def _listed(name: str, weights: dict[str, list[str]]) -> Listed:
    architecture, _, tag = name.partition(".")
    known = registered(architecture, tag)
    tags = weights.get(architecture, [])
    tag = tag or (known.tag if known.tag in tags else "")
    return Listed(
        name=f"{architecture}.{tag}" if tag else architecture,
        architecture=architecture,
        tag=tag,
        input=_input(known),
        licence=(known.license or "") if tag else "",
        weights=tuple(tags),
    )


def _input(known: PretrainedCfg) -> str:
    _, height, width = known.input_size
    return str(width) if height == width else f"{width}x{height}"
