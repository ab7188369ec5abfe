"""The network up to its classifier, made fast: folded, channels-last, in a short number format."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.features.cutting import Cut, Uncuttable, between, cut, cut_at_features
from finetune.features.folding import folded
from finetune.model.modes import evaluating
from finetune.model.normalise import normalise
from finetune.model.precision import full_precision
from finetune.model.stages import HEAD

FLOAT32, BFLOAT16 = "float32", "bfloat16"

TOLERANCE = 0.25
"""Largest error of bfloat16 features, as a share of the spread of the features over images.

With MobileNetV2's ImageNet weights, the most sensitive network at hand, errors of 0.12 to 0.23
moved the cross-validated log loss of a linear probe on three small data sets by 0.005 at most, in
either direction.
"""

_FOLDED_ALIKE = 1e-3
_EXAMPLES = 2


@dataclass(frozen=True)
class Body:
    """A copy of a network, from the images to some stage or to the features, that only predicts.

    Attributes:
        network: Takes normalised images.
        spec: How pictures become inputs.
        device: Where it is.
        number_format: What it computes in, ``float32`` or ``bfloat16``.
        mirrored: Whether it gives the mean of what it makes of images and of their mirror images.
    """

    network: nn.Module
    spec: InputSpec
    device: torch.device
    number_format: str
    mirrored: bool = False

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """What it gives, ``[N, ...]`` in its number format, for uint8 ``[N, size, size, 3]``."""
        pixels = normalise(images, self.spec, self.device).to(_dtype(self.number_format))
        given: torch.Tensor = self.network(pixels)
        if not self.mirrored:
            return given
        turned: torch.Tensor = self.network(pixels.flip(-1))
        return ((given.float() + turned.float()) / 2).to(given.dtype)


@dataclass(frozen=True)
class Halves:
    """A network cut where training begins.

    Attributes:
        body: What is before, made fast.
        suffix: The network's own part from there to the logits.
        first: The first stage of the suffix.
    """

    body: Body
    suffix: nn.Module
    first: str


def body_of(
    model: nn.Module, spec: InputSpec, device: torch.device, number_format: str = FLOAT32
) -> Body:
    """The body of ``model``, copied, folded and put on ``device``.

    Args:
        model: On ``device``; its modes are left as they are.
        spec: How pictures become inputs.
        device: Where to compute.
        number_format: ``float32`` or ``bfloat16``.

    Raises:
        WeightsError: The classifier's inputs are not ``[N, D]``.
    """
    prefix = _cut(model, HEAD, spec.size).prefix
    network = _fast(model, prefix, _pixels(spec, device), number_format)
    return Body(network, spec, device, number_format, spec.mirror)


def halves_of(
    model: nn.Module, first: str, spec: InputSpec, device: torch.device, number_format: str
) -> Halves:
    """``model`` cut before the stage ``first``, the part before that made fast.

    Raises:
        Uncuttable: The network can't be cut there.
    """
    parts = _cut(model, first, spec.size)
    network = _fast(model, parts.prefix, _pixels(spec, device), number_format)
    # What crosses before the head has places, and those of a mirror image are elsewhere.
    mirrored = spec.mirror and first == HEAD
    return Halves(Body(network, spec, device, number_format, mirrored), parts.suffix, first)


@dataclass(frozen=True)
class Tail:
    """What is between a cut and the classifier: from what crosses to features.

    Attributes:
        model: The network; its weights may change.
        part: Its own modules between the two.
        example: Something that crosses, in float32.
        number_format: What fast copies compute in.
    """

    model: nn.Module
    part: nn.Module
    example: torch.Tensor
    number_format: str

    @classmethod
    def of(cls, model: nn.Module, halves: Halves) -> Tail:
        """The tail behind the cut of ``halves``, which are of ``model``."""
        body = halves.body
        with torch.inference_mode():
            pixels = _pixels(body.spec, body.device).to(_dtype(body.number_format))
            crossing = body.network(pixels).float()
        part = nn.Identity() if halves.first == HEAD else between(model, halves.first)
        return cls(model, part, crossing, body.number_format)

    def fast(self) -> nn.Module:
        """A fast copy with the weights of now."""
        return _fast(self.model, self.part, self.example, self.number_format)


def _fast(
    model: nn.Module, part: nn.Module, example: torch.Tensor, number_format: str
) -> nn.Module:
    """``part`` of ``model``, copied and folded; ``example``: what it takes, in float32."""
    with evaluating(model), torch.inference_mode(), full_precision(example.device):
        faster = folded(part, example)
        if _error(faster(example), part(example)) > _FOLDED_ALIKE:
            faster = copy.deepcopy(part)
        return faster.to(_dtype(number_format)).to(memory_format=torch.channels_last)


def _pixels(spec: InputSpec, device: torch.device) -> torch.Tensor:
    """An example of normalised images."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((_EXAMPLES, 3, spec.size, spec.size), generator=generator).to(device)


def fastest_format(exact: torch.Tensor, fast: torch.Tensor) -> str:
    """``bfloat16`` if features in it are within `TOLERANCE` of the exact ones, else ``float32``.

    Args:
        exact: Features of some of the pictures that a network is for, in float32, ``[N, D]``.
        fast: The same in bfloat16.
    """
    spread = (exact - exact.mean(0)).norm()
    error = float((fast.float() - exact).norm() / spread) if spread > 0 else float("inf")
    return BFLOAT16 if error <= TOLERANCE else FLOAT32


def _cut(model: nn.Module, first: str, size: int) -> Cut:
    """Where the trace fails, a network can still be cut before its classifier."""
    try:
        return cut(model, first, size)
    except Uncuttable:
        if first != HEAD:
            raise
        return cut_at_features(model, size)


def _error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm().clamp_min(1e-30))


def _dtype(number_format: str) -> torch.dtype:
    return {FLOAT32: torch.float32, BFLOAT16: torch.bfloat16}[number_format]
