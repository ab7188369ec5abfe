"""The errors that a user can meet.

    FinetuneError              something the user can mend: exit status 2
    ├── RecipeError            a recipe or ``--set`` that can't be followed
    ├── DataError              DATA that can't be learnt from
    ├── WeightsError           pretrained weights that can't be had or don't fit
    │   └── HubUnreachable     no answer from the model hub in time
    ├── RunError               a run directory that can't be made, read or resumed
    ├── DeviceError            the machine can't do what was asked
    └── TrainingError          training that can't go on (a loss that is not a number)

    FrozenTensorsMoved         a bug of ours, never the user's: exit status 1

Each message says what was found, where, and how to mend it.
"""

from __future__ import annotations


class FinetuneError(Exception):
    """Something the user can mend.

    Args:
        found: What was found, as one sentence; several faults of one kind go together,
            a line each.
        where: The file, key or option that it was found in, if that is not in ``found``.
        mend: What to do about it.
    """

    def __init__(self, found: str, *, where: str = "", mend: str = "") -> None:
        self.found = found
        self.where = where
        self.mend = mend
        super().__init__(found, where, mend)

    def __str__(self) -> str:
        head = f"{self.where}: {self.found}" if self.where else self.found
        return f"{head}\n{self.mend}" if self.mend else head

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, so that loader workers can raise it."""
        return _rebuild, (type(self), self.found, self.where, self.mend)


def _rebuild(kind: type[FinetuneError], found: str, where: str, mend: str) -> FinetuneError:
    return kind(found, where=where, mend=mend)


class RecipeError(FinetuneError):
    """A recipe, or a ``--set`` of one, that can't be followed."""


class DataError(FinetuneError):
    """DATA that can't be learnt from."""


class WeightsError(FinetuneError):
    """Pretrained weights that can't be had, read or fitted to the network."""


class HubUnreachable(WeightsError):
    """The model hub did not answer in time."""


class RunError(FinetuneError):
    """A run directory that can't be made, read or resumed."""


class DeviceError(FinetuneError):
    """The machine can't do what was asked of it."""


class TrainingError(FinetuneError):
    """Training that can't go on."""


class FrozenTensorsMoved(AssertionError):
    """A tensor of a frozen stage changed during a phase: a bug in `finetune`."""
