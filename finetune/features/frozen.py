"""Features of a frozen network, taken from the store or computed and kept there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import timm
import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.data.manifest import Item
from finetune.features.body import BFLOAT16
from finetune.features.store import Shape, Shelf
from finetune.files import text_digest
from finetune.model.fingerprint import digest
from finetune.model.head import classifier_name

Features = npt.NDArray[np.float32]

_VIEW = 1
"""Counts up when the way from a file to the network's input changes."""


@dataclass(frozen=True)
class FrozenFeatures:
    """What goes into a network's classifier, computed at most once for each image.

    Attributes:
        shelf: Where rows are kept; None: nowhere.
        form: How they lie there.
        compute: Passes items through the network, float32 ``[N, D]``.
    """

    shelf: Shelf | None
    form: Shape
    compute: Callable[[Sequence[Item]], Features]

    def of(self, items: Sequence[Item]) -> Features:
        """Float32 ``[N, D]``; images whose files are the same are passed once."""
        keys = [item.digest for item in items]
        found: dict[str, npt.NDArray[np.generic]] = {}
        if self.shelf is not None:
            found = self.shelf.read(keys, self.form)
        missing = list({item.digest: item for item in items if item.digest not in found}.values())
        if missing:
            found = found | self._fresh(missing)
        return np.stack([_as_float(found[key], self.form) for key in keys])

    def missing(self, items: Sequence[Item]) -> int:
        """How many images would have to be passed through the network."""
        keys = {item.digest for item in items}
        found = self.shelf.read(sorted(keys), self.form) if self.shelf is not None else {}
        return len(keys) - len(found)

    def _fresh(self, items: Sequence[Item]) -> dict[str, npt.NDArray[np.generic]]:
        rows = _as_stored(self.compute(items), self.form)
        fresh = {item.digest: row for item, row in zip(items, rows, strict=True)}
        if self.shelf is not None:
            self._keep(self.shelf, fresh)
        return fresh

    def _keep(self, shelf: Shelf, rows: Mapping[str, npt.NDArray[np.generic]]) -> None:
        with shelf.writing(len(rows), self.form) as writer:
            if writer is not None:
                for key, row in rows.items():
                    writer.put(key, row)


def form_of(width: int, number_format: str) -> Shape:
    """How features of ``width`` numbers are kept: as they are computed, so that nothing is lost."""
    return Shape((width,), "<u2" if number_format == BFLOAT16 else "<f4")


def about(
    model: nn.Module, spec: InputSpec, device: torch.device, number_format: str
) -> dict[str, Any]:
    """All that the features of an image hang on besides the image."""
    head = f"{classifier_name(model)}."
    body = (pair for pair in model.state_dict().items() if not pair[0].startswith(head))
    return {
        "view": _VIEW,
        "tensors": digest(body),
        "network": text_digest(_structure(model, head)),
        "name": type(model).__name__,
        "input": spec.to_dict(),
        "device": device.type,
        "number_format": number_format,
        "versions": {
            "torch": torch.__version__,
            "timm": timm.__version__,
            "pillow": PIL.__version__,
        },
    }


def _structure(model: nn.Module, head: str) -> str:
    """The body's modules as they describe themselves: kinds, strides, paddings and the like."""
    return "\n".join(
        f"{name}: {type(module).__name__}({module.extra_repr()})"
        for name, module in model.named_modules()
        if not f"{name}.".startswith(head)
    )


def _as_stored(rows: Features, form: Shape) -> npt.NDArray[np.generic]:
    if form.dtype != "<u2":
        return rows
    # bfloat16 is the upper half of float32; these rows were computed in it, so nothing is cut off.
    return (np.ascontiguousarray(rows, "<f4").view("<u4") >> 16).astype("<u2")


def _as_float(row: npt.NDArray[np.generic], form: Shape) -> Features:
    if form.dtype != "<u2":
        return np.asarray(row, dtype=np.float32)
    return (row.astype("<u4") << 16).view("<f4")
