"""Which processor the network runs on."""

from __future__ import annotations

import torch


def pick_device() -> torch.device:
    """The first CUDA device; else Apple's GPU; else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
