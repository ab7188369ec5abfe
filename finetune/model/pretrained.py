"""What a network starts from: the records that choosing and loading hand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from timm.models._pretrained import PretrainedCfg

from finetune.data.input_spec import InputSpec, Interpolation
from finetune.errors import WeightsError
from finetune.model.hub import HubSource
from finetune.model.registry import registered

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Pretrained:
    """Where a network comes from, and all that is needed to build it again.

    Attributes:
        source: What a person reads: ``hub: timm/resnet50.tv_in1k``, ``file: x.safetensors``,
            ``none: random weights``.
        architecture: timm's name without the tag.
        tag: Tag of the weights in timm's registry, or ``""``.
        model_args: Options that the network is built with, beside the number of classes.
        input: The preprocessing that the weights were trained with.
        licence: Of the weights, where it is known.
        digest: SHA-256 of the weights file; ``""`` before it was read, and for random weights.
    """

    source: str
    architecture: str
    tag: str = ""
    model_args: Mapping[str, Scalar] = field(default_factory=dict)
    input: InputSpec = field(default_factory=InputSpec)
    licence: str | None = None
    digest: str = ""

    @property
    def backbone(self) -> str:
        """The architecture, with the tag if there is one: what ``model.backbone`` names."""
        return f"{self.architecture}.{self.tag}" if self.tag else self.architecture


@dataclass(frozen=True)
class WeightsChoice:
    """What will be loaded: judged, but not read or downloaded yet.

    Attributes:
        pretrained: The network and where its weights come from.
        place: A file, a file on the hub, or None for random weights.
    """

    pretrained: Pretrained
    place: Path | HubSource | None


def registered_input(config: PretrainedCfg) -> InputSpec:
    """The preprocessing that timm's registry has for some weights.

    Raises:
        WeightsError: They take pictures that are not square or not RGB.
    """
    channels, height, width = config.input_size
    if height != width or channels != 3:
        raise WeightsError(
            f"{config.architecture} takes {channels}-channel pictures of {width} by {height}; "
            "only square RGB ones are made here",
            mend="Take another backbone.",
        )
    return InputSpec(
        size=height,
        interpolation=cast("Interpolation", config.interpolation),
        crop_pct=min(config.crop_pct, 1.0),
        mean=_triple(config.mean),
        std=_triple(config.std),
    )


def resized(start: Pretrained, size: int | None) -> Pretrained:
    """Tell a network whose input size is built in; the others take any size.

    Args:
        start: What the network is built from.
        size: Side of the input in pixels; None: what the weights were trained for.
    """
    known = registered(start.architecture, start.tag)
    wanted = start.input.size if size is None else size
    if not known.fixed_input_size or wanted == start.model_args.get(
        "img_size", known.input_size[1]
    ):
        return start
    return replace(start, model_args={**start.model_args, "img_size": wanted})


def _triple(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)
