"""Bytes to the numbers that a network takes."""

from __future__ import annotations

import torch

from finetune.data.input_spec import InputSpec


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
    mean = torch.tensor(spec.mean, dtype=torch.float32, device=device).mul_(255)
    scale = torch.tensor(spec.std, dtype=torch.float32, device=device).mul_(255).reciprocal_()
    pixels = images.to(device, non_blocking=True).to(torch.float32)
    return pixels.sub_(mean).mul_(scale).permute(0, 3, 1, 2)
