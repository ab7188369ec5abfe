"""The named augmentation policies: what they consist of, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finetune.recipe.schema import TransformOptions


@dataclass(frozen=True)
class Policy:
    """How training images are varied.

    Attributes:
        smallest: The least share of the picture's area that a random crop shows; 1: no crop.
        transforms: What follows on the square, in order.
    """

    smallest: float
    transforms: tuple[TransformOptions, ...] = ()


def _step(name: str, p: float, **args: Any) -> TransformOptions:
    return TransformOptions(name=name, p=p, args=args)


_REFLECT = 4  # OpenCV's BORDER_REFLECT_101: no black corners to learn from
_MIRROR = _step("HorizontalFlip", 0.5)


def _moved(degrees: float, shift: float, p: float) -> TransformOptions:
    return _step(
        "Affine",
        p,
        rotate=[-degrees, degrees],
        translate_percent=[-shift, shift],
        border_mode=_REFLECT,
    )


def _coloured(strength: float, hue: float, p: float) -> TransformOptions:
    span = [1 - strength, 1 + strength]
    return _step("ColorJitter", p, brightness=span, contrast=span, saturation=span, hue=[-hue, hue])


POLICIES = {
    "none": Policy(smallest=1.0),
    # Random crops of 0.35 and more, not ImageNet training's 0.08: on small data a sliver of the
    # picture often doesn't show what its label names.
    "light": Policy(0.35, (_MIRROR,)),
    "medium": Policy(0.35, (_MIRROR, _moved(10, 0.05, 0.5), _coloured(0.2, 0.0, 0.8))),
    "heavy": Policy(
        0.25,
        (
            _MIRROR,
            _moved(20, 0.1, 0.7),
            _coloured(0.4, 0.05, 0.8),
            _step("GaussianBlur", 0.2, sigma_limit=[0.3, 1.5]),
            _step("GaussNoise", 0.2, std_range=[0.02, 0.1]),
            _step(
                "CoarseDropout",
                0.5,
                num_holes_range=[1, 4],
                hole_height_range=[0.1, 0.25],
                hole_width_range=[0.1, 0.25],
                fill="random_uniform",
            ),
        ),
    ),
}
"""Every policy of ``augment.policy`` by name."""
