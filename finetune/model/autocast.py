"""Forward passes in bfloat16, but for what processors are slow at in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def bfloat16_where_fast(device: torch.device) -> Iterator[None]:
    """Autocast to bfloat16; what a CPU is slower at in bfloat16 stays in float32.

    These are depthwise convolutions with a stride, or with kernels larger than 3, whose backward
    pass oneDNN has no fast way for in bfloat16 (``benchmarks/depthwise.py``). What is computed
    anew in the backward pass (activation checkpointing) would not be under this any more.
    """
    with torch.autocast(device.type, torch.bfloat16):
        if device.type != "cpu":
            yield
            return
        with _WideDepthwise():
            yield


class _WideDepthwise(TorchFunctionMode):
    """Sends convolutions to `_convolved`, whatever layer asks for them."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        wanted = _convolved if func is torch.conv2d else func
        return wanted(*args, **(kwargs or {}))


def _convolved(
    input: torch.Tensor,  # noqa: A002 - the names are those of torch.conv2d
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> torch.Tensor:
    """``torch.conv2d`` as autocast has it, but computed in float32 where that is faster."""
    depthwise = groups > 1 and weight.shape[1] == 1
    strides = stride if isinstance(stride, int) else max(stride)
    slow = depthwise and (strides > 1 or max(weight.shape[2:]) > 3)
    cast = torch.is_autocast_enabled("cpu") and input.dtype in (torch.float32, torch.bfloat16)
    if not (slow and cast):
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
    with torch.autocast("cpu", enabled=False):
        wide = None if bias is None else bias.float()
        given = torch.conv2d(input.float(), weight.float(), wide, stride, padding, dilation, groups)
    return given.to(torch.bfloat16)
