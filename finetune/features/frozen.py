"""Outputs of the frozen part of a network, taken from the store or computed and kept there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import PIL
import timm
import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.features.form import Form
from finetune.features.segments import Row
from finetune.features.store import Shelf, first_places
from finetune.files import text_digest
from finetune.model.fingerprint import digest
from finetune.model.head import classifier_name
from finetune.model.stages import HEAD, stages_of

_WAY = 2
"""Counts up when the way from a file to the network's input changes."""

_OF_NO_MATTER = ("training", "num_classes")
"""Settings of modules that change nothing before the classifier in evaluation mode."""

Compute = Callable[[list[int]], Iterable[torch.Tensor]]
"""Passes the images (or views) at some positions through the network, in batches, in order."""


@dataclass(frozen=True)
class FrozenOutputs:
    """What a frozen part makes of images, computed at most once for each.

    Attributes:
        shelf: Where rows are kept; None: nowhere.
        form: How they lie there.
    """

    shelf: Shelf | None
    form: Form

    def missing(self, keys: Sequence[str]) -> int:
        """How many of ``keys`` would have to be computed."""
        wanted = list(first_places(keys))
        return len(wanted) - (len(self.shelf.holds(wanted)) if self.shelf else 0)

    def fits(self, rows: int) -> bool:
        """Whether so many rows have room in the store."""
        return self.shelf is not None and rows * self.form.nbytes <= self.shelf.store.budget

    def stored(self, keys: Sequence[str], compute: Compute) -> dict[str, Row] | None:
        """The rows of ``keys``, mapped from the store; None where it has no room for them.

        Args:
            keys: One for each image or view; those that are the same are computed once.
            compute: Is asked for those that the store lacks.
        """
        if self.shelf is None:
            return None
        place = first_places(keys)
        found = self.shelf.read(list(place))
        missing = [key for key in place if key not in found]
        if missing:
            batches = compute([place[key] for key in missing])
            for _, kept in self._kept(missing, batches):
                if not kept:
                    return None
            found |= self.shelf.read(missing)
        return found if len(found) == len(place) else None

    def known(self, keys: Sequence[str]) -> torch.Tensor | None:
        """The outputs for ``keys``, ``[N, ...]``, if the store has all of them."""
        if self.shelf is None or not keys or self.missing(keys):
            return None
        rows = self.shelf.read(list(first_places(keys)))
        return (
            self.form.values([rows[key] for key in keys]) if len(rows) == len(set(keys)) else None
        )

    def keep(self, keys: Sequence[str], values: torch.Tensor) -> None:
        """Put into the store what was computed for ``keys``, ``[N, ...]``, if it has room."""
        places = list(first_places(keys).values())
        for _ in self._kept([keys[place] for place in places], [values[places]]):
            pass

    def always(self, keys: Sequence[str], compute: Compute) -> torch.Tensor:
        """The outputs for ``keys``, ``[N, ...]``; from memory where the store has no room.

        For outputs so small that memory holds them all.
        """
        place = first_places(keys)
        rows = self.shelf.read(list(place)) if self.shelf else {}
        missing = [key for key in place if key not in rows]
        if missing:
            for fresh, _ in self._kept(missing, compute([place[key] for key in missing])):
                rows |= fresh
        return self.form.values([rows[key] for key in keys])

    def _kept(
        self, keys: Sequence[str], batches: Iterable[torch.Tensor]
    ) -> Iterator[tuple[dict[str, Row], bool]]:
        """The rows of each batch by key, and whether all are in the store so far."""
        names = iter(keys)
        room = self.shelf.writing(len(keys) * self.form.nbytes) if self.shelf else nullcontext()
        with room as writer:
            for batch in batches:
                rows = dict(zip(islice(names, len(batch)), self.form.rows(batch), strict=True))
                if writer is not None:
                    writer.put(rows)
                yield rows, writer is not None and not writer.failed


def about(
    model: nn.Module, first: str, spec: InputSpec, device: torch.device, number_format: str
) -> dict[str, Any]:
    """All that the outputs before the stage ``first`` hang on besides the images."""
    stages = stages_of(model)
    before = stages[: [stage.name for stage in stages].index(first)]
    names = {name for stage in before for name in (*stage.parameters, *stage.buffers)}
    tensors = (pair for pair in model.state_dict().items() if pair[0] in names)
    modules = [name for stage in before for name in stage.modules]
    if first == HEAD:  # pooling too, which is counted among the head's modules
        modules = [name for name, _ in model.named_modules() if not _in_classifier(model, name)]
    return {
        "way": _WAY,
        "first": first,
        "tensors": digest(tensors),
        "network": text_digest(_structure(model, modules)),
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


def _in_classifier(model: nn.Module, name: str) -> bool:
    return f"{name}.".startswith(f"{classifier_name(model)}.")


def _structure(model: nn.Module, names: Sequence[str]) -> str:
    """Modules as they describe themselves, and their plain settings: strides, heads, poolings."""
    modules = [("", model), *((name, model.get_submodule(name)) for name in names if name)]
    return "\n".join(
        f"{name}: {type(module).__name__}({module.extra_repr()}) {_settings(module)}"
        for name, module in modules
    )


def _settings(module: nn.Module) -> list[tuple[str, object]]:
    plain = (bool, int, float, str)
    return sorted(
        (name, value)
        for name, value in vars(module).items()
        if isinstance(value, plain) and not name.startswith("_") and name not in _OF_NO_MATTER
    )
