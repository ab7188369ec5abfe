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


def _cpu_has_bfloat16() -> bool:
    cpu = cast("Any", torch.cpu)
    if hasattr(cpu, "get_capabilities"):
        capabilities = cpu.get_capabilities()
        return any(bool(capabilities.get(name)) for name in _CPU_INSTRUCTIONS)
    # torch before 2.10 has no public way to ask.
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())
