"""Which processor the network runs on, and what its memory has room for."""

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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that the memory of a GPU or of the machine was not enough."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU's allocator, Apple's GPUs and CUDA's libraries have no class of error of their own.
    told = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in told for sign in _SIGNS)


_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def free_memory(device: torch.device) -> None:
    """Give back the memory that torch keeps on ``device`` for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def not_enough_memory(found: str, mend: str) -> DeviceError:
    """The error for the user, from what the allocator said."""
    shown = " ".join(found.split(". ")[0].split())
    return DeviceError(f"the memory is not enough: {shown}", mend=mend)


@contextmanager
def memory_told(mend: str) -> Iterator[None]:
    """Tell memory that is not enough as what the user can mend, by ``mend``.

    Raises:
        DeviceError: The memory of the GPU or of the machine was not enough.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise not_enough_memory(str(error), mend) from error
