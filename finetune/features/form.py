"""How what crosses a cut lies in a file: one row an image, every bit of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from finetune.features.body import BFLOAT16, FLOAT32

Rows = npt.NDArray[np.generic]

_DTYPES = {FLOAT32: "<f4", BFLOAT16: "<u2"}
"""NumPy has no bfloat16: its bits are kept as whole numbers."""


@dataclass(frozen=True)
class Form:
    """What crosses a cut for one image.

    Attributes:
        shape: As it lies in memory: ``[D]``, ``[T, D]``, ``[H, W, C]``, ...
        number_format: ``float32`` or ``bfloat16``.
        channels_last: Whether ``[H, W, C]`` stands for ``[C, H, W]``.
    """

    shape: tuple[int, ...]
    number_format: str
    channels_last: bool = False

    @classmethod
    def of(cls, crossing: torch.Tensor) -> Form:
        """The form of a batch ``[N, ...]``."""
        turned = (
            crossing.dim() == 4
            and not crossing.is_contiguous()
            and crossing.is_contiguous(memory_format=torch.channels_last)
        )
        lying = crossing.permute(0, 2, 3, 1) if turned else crossing
        number_format = BFLOAT16 if crossing.dtype == torch.bfloat16 else FLOAT32
        return cls(tuple(lying.shape[1:]), number_format, turned)

    @property
    def dtype(self) -> str:
        """NumPy's name for the type of the numbers."""
        return _DTYPES[self.number_format]

    @property
    def nbytes(self) -> int:
        """Bytes of a row."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def rows(self, crossing: torch.Tensor) -> Rows:
        """A batch ``[N, ...]`` as ``[N, *shape]``; its values are of the number format."""
        values = crossing.detach().cpu()
        if self.channels_last:
            values = values.permute(0, 2, 3, 1)
        values = values.contiguous()
        if self.number_format == BFLOAT16:
            values = values.to(torch.bfloat16).view(torch.uint16)
        found: Rows = values.numpy()
        return found

    def values(self, rows: Sequence[Rows]) -> torch.Tensor:
        """The batch ``[N, ...]`` of which these were the rows."""
        values = torch.from_numpy(np.stack(rows))
        if self.number_format == BFLOAT16:
            values = values.view(torch.bfloat16)
        return values.permute(0, 3, 1, 2) if self.channels_last else values
