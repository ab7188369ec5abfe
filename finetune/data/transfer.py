"""From the memory of the machine to that of the device."""

from __future__ import annotations

import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``tensor`` on ``device``; for CUDA the copy doesn't make this process wait.

    CUDA copies from pinned memory meanwhile, and takes other memory aside first. Apple's GPUs may
    read memory that isn't pinned after it has gone to others (pytorch issue 189690), so that there
    the copy is waited for.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")
