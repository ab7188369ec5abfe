"""Training on stored outputs of the frozen part: batches that no network has to make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from finetune.data.batches import TrainBatches
from finetune.data.images import Key, view_number
from finetune.data.loaders import EpochLoader
from finetune.data.transfer import to_device
from finetune.features.form import Form
from finetune.features.segments import Row


@dataclass(frozen=True)
class StoredBatch:
    """What crosses into the stages that train.

    Attributes:
        crossing: ``[N, ...]`` in the number format that it was computed in.
        labels: int64 ``[N]``.
    """

    crossing: torch.Tensor
    labels: torch.Tensor

    @property
    def inputs(self) -> torch.Tensor:
        """What the rest of a network takes: what crosses."""
        return self.crossing

    def to(self, device: torch.device) -> StoredBatch:
        """The same on ``device``."""
        return StoredBatch(to_device(self.crossing, device), to_device(self.labels, device))

    def pin_memory(self) -> StoredBatch:
        """The same in page-locked memory; the DataLoader calls it where there is a GPU."""
        return StoredBatch(self.crossing.pin_memory(), self.labels.pin_memory())


class StoredViews(Dataset[StoredBatch]):
    """Views of images as the frozen part left them.

    Args:
        rows: From the store, by key.
        keys: The keys of each image's views, for N images.
        labels: Class indices, int64 ``[N]``.
        form: Of a row.
    """

    def __init__(
        self,
        rows: Mapping[str, Row],
        keys: Sequence[Sequence[str]],
        labels: npt.NDArray[np.int64],
        form: Form,
    ) -> None:
        self._rows, self._keys = rows, keys
        self._labels, self._form = torch.from_numpy(labels), form

    def __len__(self) -> int:
        return len(self._labels)

    def __getitems__(self, keys: Sequence[Key]) -> StoredBatch:
        positions = torch.tensor([key.position for key in keys])
        rows = [self._rows[self._keys[k.position][self._view(k)]] for k in keys]
        return StoredBatch(self._form.values(rows), self._labels[positions])

    def _view(self, key: Key) -> int:
        return view_number(key, len(self._keys[key.position]))


def stored_loader(views: StoredViews, batches: TrainBatches) -> DataLoader[Any]:
    """Batches of ``views`` in a new order each epoch, read by this process."""
    return EpochLoader(
        views,
        batch_sampler=batches,
        collate_fn=_as_it_is,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # its own: the global one is left alone
    )


def _as_it_is(batch: Any) -> Any:
    return batch
