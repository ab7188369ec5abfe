"""What resuming needs, in the run directory's ``checkpoints`` folder.

A training is a chain of steps whose results are functions of the recipe, the data and the
weights. Each finished phase leaves its result here; a resumed run walks the same chain, takes what
is here and computes the rest. The phase under way is kept by
`finetune.training.keeping`, between two optimiser steps.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from finetune.files import replacing, write_json


@dataclass(frozen=True)
class PhaseStore:
    """The files of one phase of one fit (``main`` or ``fold-1``, ...)."""

    folder: Path

    @property
    def running(self) -> Path:
        """The checkpoint of the phase under way."""
        return self.folder / "last.ckpt"

    @property
    def _record(self) -> Path:
        return self.folder / "phase.json"

    @property
    def finished(self) -> bool:
        """Whether the phase came to its end; its record is written last."""
        return self._record.is_file()

    def finish(
        self, record: Mapping[str, Any], state: Mapping[str, torch.Tensor], **arrays: np.ndarray
    ) -> None:
        """Keep a phase's result; the checkpoint of the phase under way goes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / "weights.safetensors") as path:
            save_file({name: _owned(value) for name, value in state.items()}, path)
        with replacing(self.folder / "arrays.safetensors") as path:
            save_arrays({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
        write_json(self._record, dict(record))
        self.running.unlink(missing_ok=True)

    def forget_weights(self) -> None:
        """Remove the weights, once nobody will ask for them; the rest stays."""
        (self.folder / "weights.safetensors").unlink(missing_ok=True)

    def record(self) -> dict[str, Any]:
        """What `finish` was given as ``record``."""
        record: dict[str, Any] = json.loads(self._record.read_text(encoding="utf-8"))
        return record

    def state(self) -> dict[str, torch.Tensor]:
        """The weights at the end of the phase, by timm's names."""
        return load_file(self.folder / "weights.safetensors")

    def arrays(self) -> dict[str, np.ndarray]:
        """What `finish` was given as ``arrays``."""
        return load_arrays(self.folder / "arrays.safetensors")


def phase_store(checkpoints: Path, fit: str, position: int, phase: str) -> PhaseStore:
    """Where the phase at ``position`` of the fit called ``fit`` keeps its files."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in phase)
    return PhaseStore(checkpoints / fit / f"{position}-{name}")


def clear(checkpoints: Path) -> None:
    """Remove what a complete run no longer needs."""
    shutil.rmtree(checkpoints, ignore_errors=True)


def _owned(value: torch.Tensor) -> torch.Tensor:
    return value.detach().to("cpu").contiguous()
