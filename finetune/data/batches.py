"""Which images make which batch: pure functions of the seed, the phase and the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from finetune.data.images import Key
from finetune.data.randomness import Purpose, derived_seed, scrambled
from finetune.data.turns import ClassTurns


def epoch_order(n: int, seed: int, phase: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order of ``n`` images in an epoch, a permutation ``[n]``; a pure function."""
    key = derived_seed(seed, Purpose.ORDER, phase, epoch)
    return np.argsort(scrambled(np.arange(n, dtype=np.uint64), key), kind="stable")


def batch_count(n: int, batch_size: int) -> int:
    """Batches of an epoch of ``n`` images: a single one left over joins the batch before it."""
    whole, rest = divmod(n, batch_size)
    return max(min(n, 1), whole + (rest > 1))


class TrainBatches(Sampler[list[Key]]):
    """The keys of an epoch's batches; the loader moves it on to the next epoch.

    A last batch of one image goes to the batch before it: BatchNorm can't learn from one alone.
    The first epoch may begin at a later batch than its first, for a phase that is resumed.
    With ``turns``, an epoch shows what they say, and not each of ``n`` images once.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int,
        phase: int,
        first_epoch: int,
        first_batch: int = 0,
        turns: ClassTurns | None = None,
    ) -> None:
        self.n, self.batch_size = turns.images if turns else n, batch_size
        self.turns = turns
        self.seed, self.phase, self.epoch = seed, phase, first_epoch
        self.first_batch = first_batch

    def set_epoch(self, epoch: int) -> None:
        """Make the loader's next pass that epoch, from its first batch."""
        self.epoch, self.first_batch = epoch, 0

    def __iter__(self) -> Iterator[list[Key]]:
        # Not a generator itself: the epoch is that of this call, not of the first batch.
        order = epoch_order(self.n, self.seed, self.phase, self.epoch)
        batches = _in_batches(self._keys(order), len(self), self.batch_size)
        return islice(batches, self.first_batch, None)

    def _keys(self, order: npt.NDArray[np.int64]) -> list[Key]:
        if self.turns is None:
            return [Key(position, self.epoch, 0) for position in order.tolist()]
        keys = self.turns.keys(self.seed, self.phase, self.epoch)
        return [keys[place] for place in order.tolist()]

    def __len__(self) -> int:
        """Batches of a whole epoch; a loader asks once, and for all its epochs."""
        return batch_count(self.n, self.batch_size)


class EvalBatches(Sampler[list[Key]]):
    """The keys of all images in their order."""

    def __init__(self, n: int, batch_size: int) -> None:
        self.n, self.batch_size = n, batch_size

    def __iter__(self) -> Iterator[list[Key]]:
        keys = [Key(position, 0, 0) for position in range(self.n)]
        return _in_batches(keys, len(self), self.batch_size)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)


class GivenBatches(Sampler[list[Key]]):
    """Keys in the order given."""

    def __init__(self, keys: Sequence[Key], batch_size: int) -> None:
        self.keys, self.batch_size = keys, batch_size

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, len(self.keys), self.batch_size):
            yield list(self.keys[start : start + self.batch_size])

    def __len__(self) -> int:
        return -(-len(self.keys) // self.batch_size)


def _in_batches(keys: list[Key], batches: int, batch_size: int) -> Iterator[list[Key]]:
    """``batches`` lists of ``batch_size`` keys; the last one takes all that are left."""
    for number in range(batches):
        last = number == batches - 1
        yield keys[number * batch_size : None if last else (number + 1) * batch_size]
