"""Bytes to the numbers that a network takes."""

from __future__ import annotations

from functools import cache

import torch

from finetune.data.input_spec import InputSpec
from finetune.data.transfer import to_device


def normalise(images: torch.Tensor, spec: InputSpec, device: torch.device) -> torch.Tensor:
    """Images as the network wants them: ``(pixel / 255 - mean) / std``, on ``device``.

    Args:
        images: uint8 ``[N, H, W, 3]``, as loaders give them; bytes cross to the device, a
            quarter of what floats would be.
        spec: Holds the mean and the standard deviation.
        device: Where the network is.

    Returns:
        float32 ``[N, 3, H, W]`` in channels-last memory, which is how the bytes lie already.
    """
    mean, scale = _constants(spec.mean, spec.std, device)
    pixels = to_device(images, device).to(torch.float32)
    return pixels.sub_(mean).mul_(scale).permute(0, 3, 1, 2)


@cache
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """What is taken from bytes and what the rest is multiplied by; a GPU is given them once.

    Each copy to a GPU would make this process wait for what it computes.
    """
    with torch.inference_mode(mode=False):  # they outlive whatever mode asks for them first
        away = torch.tensor(mean, dtype=torch.float32, device=device).mul_(255)
        scale = torch.tensor(std, dtype=torch.float32, device=device).mul_(255).reciprocal_()
    return away, scale
