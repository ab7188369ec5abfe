"""Which processor the network runs on, and what its memory has room for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from finetune.errors import DeviceError
from finetune.memory import give_back_freed_memory


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


_SIGNS = (
    *("out of memory", "can't allocate memory", "not enough memory", "alloc_failed"),
    # oneDNN's words where the system gives it no memory for a convolution.
    *("could not create a primitive", "could not create a memory", "could not execute a primitive"),
)


def free_memory(device: torch.device) -> None:
    """Give back the memory that is kept for later, on ``device`` and on the machine."""
    give_back_freed_memory()
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
