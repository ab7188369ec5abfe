"""The one description of how a picture becomes the network's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

Fit = Literal["crop", "squash", "letterbox"]
Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class InputSpec:
    """Preprocessing, made once from the weights and the recipe.

    It feeds training, scoring and prediction alike. Pictures are decoded by Pillow, turned as
    their EXIF orientation says, and converted to 8-bit RGB before this applies.

    Attributes:
        size: Side of the square input in pixels.
        fit: How a picture that is no square fits in: ``crop``, ``squash`` or ``letterbox``.
        interpolation: Filter for resizing, with antialiasing.
        crop_pct: For ``crop``, the share of the resized picture's shorter side that is kept.
        mean: Subtracted from each channel, on the scale 0 to 1; ``[3]``, RGB.
        std: What each channel is divided by after that; ``[3]``.
        mirror: Whether features are the mean of those of the picture and of its mirror image.
    """

    size: int = 224
    fit: Fit = "crop"
    interpolation: Interpolation = "bicubic"
    crop_pct: float = 0.875
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    mirror: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputSpec:
        """The spec that `to_dict` gave ``values`` for.

        Raises:
            KeyError: A field is missing.
        """
        return cls(
            size=int(values["size"]),
            fit=cast("Fit", values["fit"]),
            interpolation=cast("Interpolation", values["interpolation"]),
            crop_pct=float(values["crop_pct"]),
            mean=_triple(values["mean"]),
            std=_triple(values["std"]),
            mirror=bool(values["mirror"]),
        )


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
