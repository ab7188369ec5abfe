"""Which processor the network runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from finetune.errors import DeviceError


def pick_device() -> torch.device:
    """The first CUDA device; else Apple's GPU; else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@contextmanager
def memory_told(mend: str) -> Iterator[None]:
    """Tell a GPU without enough memory as what the user can mend, by ``mend``.

    Raises:
        DeviceError: The GPU's memory was not enough.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        found = " ".join(str(error).split(". ")[0].split())
        raise DeviceError(f"the GPU's memory is not enough: {found}", mend=mend) from error
