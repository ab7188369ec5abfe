"""Number formats: which a processor has, and plain float32 where it matters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch

# Instructions that multiply bfloat16 matrices; `bf16` is ARM's. Without them bfloat16 is emulated
# and slower than float32.
_CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


def native_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _cpu_has_bfloat16()


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast, and none of the shortened float32 products that GPUs take by default."""
    products = torch.get_float32_matmul_precision()
    with (
        torch.autocast(device.type, enabled=False),
        torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled,
            benchmark=False,
            deterministic=True,
            allow_tf32=False,
        ),
    ):
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(products)


@contextmanager
def shortened_products(device: torch.device) -> Iterator[None]:
    """On a GPU, products of float32 matrices in TF32: ten bits of the fraction instead of 23.

    For training in float32, which doesn't need more. Elsewhere it changes nothing.
    """
    if device.type != "cuda":
        yield
        return
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def _cpu_has_bfloat16() -> bool:
    cpu = cast("Any", torch.cpu)
    if hasattr(cpu, "get_capabilities"):
        capabilities = cpu.get_capabilities()
        return any(bool(capabilities.get(name)) for name in _CPU_INSTRUCTIONS)
    # torch before 2.10 has no public way to ask.
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())
